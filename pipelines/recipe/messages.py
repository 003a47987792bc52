"""Faults of a YAML file and their places: `recipe.yaml:7:5: audio.n_mell: unknown key`.

Recipes and manifests of data sets share them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

KeyPath = tuple[str | int, ...]
Place = tuple[int, int]

SHOWN_FAULTS = 100
SHOWN_WIDTH = 120


@dataclass(frozen=True)
class Fault:
    """One fault of a YAML file.

    line, col: 1-based. source: for a fault outside the file, in place of them, such as "--set a=1".
    """

    line: int
    col: int
    path: KeyPath
    text: str
    source: str = ""


@dataclass(frozen=True)
class Document:
    """A YAML file as plain data, with the place of every part of it.

    positions: path → (line, col) of the key or list item; values: the same of what follows a key.
    faults: what the reader refused but could read past. holes: the paths that have no value because
    of it, for which no further fault is reported. sources: paths set outside the file → by what,
    such as "--set a=1".
    """

    data: dict[str, Any]
    positions: dict[KeyPath, Place]
    name: str
    lines: list[str]
    values: dict[KeyPath, Place] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    holes: set[KeyPath] = field(default_factory=set)
    sources: dict[KeyPath, str] = field(default_factory=dict)


def show(value: Any) -> str:
    """Return a value as messages show it: 'text', 3, true, null, [1, 2], a mapping."""
    match value:
        case None | bool():
            return {None: "null", True: "true", False: "false"}[value]
        case str():
            return repr(value) if len(value) <= 40 else f"{value[:40]!r}…"
        case list() | tuple():
            items = [f"{item}" for item in value if isinstance(item, int | float)]
            is_short = len(items) == len(value) <= 8
            return f"[{', '.join(items)}]" if is_short else "a list"
        case Mapping():
            return "a mapping"
    return repr(value)


def printable(text: str) -> str:
    """Replace characters that would move the cursor, so that a caret stays under its column."""
    return "".join(c if c.isprintable() else " " if c == "\t" else "\ufffd" for c in text)


def dotted(path: KeyPath) -> str:
    """Return a path as `--set` takes it, list items in brackets: train.betas[1]."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{printable(part[:60])}" for part in path)
    return "".join(parts).removeprefix(".")


def fault_at(document: Document, path: KeyPath, text: str, on_key: bool = False) -> Fault:
    """Return the fault of a path: at its value, its key, or the nearest section around it."""
    # a value from outside the file has no line: the option or preset that set it is named instead
    for source, label in document.sources.items():
        if path[: len(source)] == source:
            return Fault(0, 0, path, text, label)
    for length in range(len(path), -1, -1):
        part = path[:length]
        if part in document.positions:
            # at the value, unless that is a block, which begins on a later line than its key
            place = document.positions[part]
            if part == path and not on_key and not isinstance(_at(document, path), dict | list):
                place = document.values.get(part, place)
            return Fault(*place, path, text)
        # a key that is missing in a section which only an override or preset has made
        for source, label in document.sources.items():
            if source[:length] == part:
                return Fault(0, 0, path, text, label)
    return Fault(1, 1, path, text)


def _at(document: Document, path: KeyPath) -> Any:
    """Return the value at a path; None if there is none."""
    node: Any = document.data
    for part in path:
        try:
            node = node[part]
        except (KeyError, IndexError, TypeError):
            return None
    return node


def render(document: Document, faults: list[Fault]) -> str:
    """Return all faults as text, in the order of the file, each with its line and a caret."""
    ordered = sorted(faults, key=lambda fault: (bool(fault.source), fault.line, fault.col))
    blocks = [_block(document, fault) for fault in ordered[:SHOWN_FAULTS]]
    if len(ordered) > SHOWN_FAULTS:
        blocks.append(f"{document.name}: and {len(ordered) - SHOWN_FAULTS} more faults")
    return "\n".join(blocks)


def _block(document: Document, fault: Fault) -> str:
    where = fault.source or f"{document.name}:{fault.line}:{fault.col}"
    head = ": ".join(part for part in (where, dotted(fault.path), fault.text) if part)
    if fault.source or not 0 < fault.line <= len(document.lines):
        return head
    line = document.lines[fault.line - 1]
    if not line.strip():
        return head
    # a line may have 256 KiB: only what surrounds the fault is shown
    start = max(0, fault.col - SHOWN_WIDTH // 2) if len(line) > SHOWN_WIDTH else 0
    shown = printable(line[start : start + SHOWN_WIDTH]).rstrip()
    return f"{head}\n    {shown}\n    {' ' * (fault.col - 1 - start)}^"
