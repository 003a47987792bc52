"""What is wrong with a YAML file and where: `recipe.yaml:7:5: audio.n_mell: unknown key`.

Recipes and dataset manifests share it.
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
    """One thing that is wrong; line and col are 1-based, source replaces them outside the file."""

    line: int
    col: int
    path: KeyPath
    text: str
    source: str = ""


@dataclass(frozen=True)
class Document:
    """A YAML file as plain data, with the place of every part of it.

    positions: path → (line, col) of the key or list item; values: the same for what follows a key.
    faults: what the reader refused but could read past; holes: the paths left without a value by
    that, of which nothing more is said. sources: paths given outside the file → how, "--set a=1".
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
    """Write a value as a fault names it: 'text', 3, true, null, [1, 2], a mapping."""
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
    """Replace what would move the cursor, so that a caret stays under its column."""
    return "".join(c if c.isprintable() else " " if c == "\t" else "\ufffd" for c in text)


def dotted(path: KeyPath) -> str:
    """Write a path as `--set` takes it, list items in brackets: train.betas[1]."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{printable(part[:60])}" for part in path)
    return "".join(parts).removeprefix(".")


def fault_at(document: Document, path: KeyPath, text: str, on_key: bool = False) -> Fault:
    """Make the fault of a path: at its value, at its key, or at the nearest section around it."""
    for given, label in document.sources.items():
        if path[: len(given)] == given:
            return Fault(0, 0, path, text, label)
    for length in range(len(path), -1, -1):
        part = path[:length]
        if part in document.positions:
            place = document.positions[part]
            if part == path and not on_key and not isinstance(_at(document, path), dict | list):
                place = document.values.get(part, place)
            return Fault(*place, path, text)
        for given, label in document.sources.items():
            if given[:length] == part:
                return Fault(0, 0, path, text, label)
    return Fault(1, 1, path, text)


def _at(document: Document, path: KeyPath) -> Any:
    """Return the value at a path, None where there is none."""
    node: Any = document.data
    for part in path:
        try:
            node = node[part]
        except (KeyError, IndexError, TypeError):
            return None
    return node


def render(document: Document, faults: list[Fault]) -> str:
    """Write all faults in the order of the file, each with its line and a caret."""
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
    start = max(0, fault.col - SHOWN_WIDTH // 2) if len(line) > SHOWN_WIDTH else 0
    shown = printable(line[start : start + SHOWN_WIDTH]).rstrip()
    return f"{head}\n    {shown}\n    {' ' * (fault.col - 1 - start)}^"
