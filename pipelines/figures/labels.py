"""Labels of figures: broken over lines, shortened, and never two the same."""

import textwrap
from collections.abc import Mapping, Sequence


def wrap(text: str, width: int, max_lines: int) -> str:
    """Break text after `width` characters; what does not fit into max_lines is cut, and marked."""
    return "\n".join(textwrap.wrap(text, width, max_lines=max_lines, placeholder=" …"))


def shorten(text: str, length: int) -> str:
    """Cut text to `length` characters by leaving out its middle."""
    text = " ".join(text.split())
    # The end stays: it is often what tells "engine, idling" from "engine, starting".
    return text if len(text) <= length else f"{text[: length - 9]}…{text[-8:]}"


def wrap_apart(texts: Sequence[str], width: int, max_lines: int) -> list[str]:
    """Break several texts as `wrap` does, so that different ones stay different.

    Texts that would be cut to the same label begin at the word in which they first differ, after
    an ellipsis; where even that gives the same label, a number comes first.
    """
    labels = {text: wrap(text, width, max_lines) for text in texts}
    for alike in _alike(labels):
        # by whole words: "…ha=1.5" would name no setting
        shared = common_start(alike).rpartition(" ")[0]
        for text in alike:
            rest = text[len(shared) :].strip()
            labels[text] = wrap(f"… {rest}" if shared else text, width, max_lines)
    for alike in _alike(labels):
        for number, text in enumerate(alike, 1):
            labels[text] = wrap(f"({number}) {text}", width, max_lines)
    return [labels[text] for text in texts]


def common_start(texts: Sequence[str]) -> str:
    """Return the longest text that all of these begin with."""
    shortest = min(texts, key=len)
    columns = zip(*texts, strict=False)
    same = next((k for k, signs in enumerate(columns) if len(set(signs)) > 1), len(shortest))
    return shortest[:same]


def _alike(labels: Mapping[str, str]) -> list[list[str]]:
    """Return the groups of texts that have the same label."""
    groups: dict[str, list[str]] = {}
    for text, label in labels.items():
        groups.setdefault(label, []).append(text)
    return [group for group in groups.values() if len(group) > 1]
