"""Rows as a table of text: aligned columns, and blocks of columns where a table is wide."""

import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from avsnn_cli import screen

TableRows = list[dict[str, Any]]

COLUMNS = 80
GAP = 2  # spaces between two columns
# characters; a narrower last column is left as it is
LEAST_COLUMN = 20
# characters at which the first column is folded where the table is wider than the screen
FIRST_COLUMN = 32


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Lay rows out in aligned columns, header first.

    On a terminal the last column is wrapped inside itself; in a pipe a row is a line.
    """
    if not rows:
        return ""
    cells = _cells(rows)
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)][:-1]
    indent = sum(widths) + GAP * len(widths)
    room = shutil.get_terminal_size().columns - indent if sys.stdout.isatty() else 0
    lines = []
    for *first, last in cells:
        wrapped = _wrapped(last, room) if room >= LEAST_COLUMN else [last]
        lines += [_aligned([*first, wrapped[0]], widths)]
        lines += [" " * indent + more for more in wrapped[1:]]
    return "\n".join(lines)


def table_in_blocks(rows: Sequence[Mapping[str, Any]]) -> str:
    """Lay rows out in 80 columns, or in those of a wider terminal.

    Columns that do not fit stand in further blocks, each of which begins with the first column
    again. Only cells of the first column are folded, so that "97.1 ± 0.3" stays on one line.
    """
    if not rows:
        return ""
    columns = list(zip(*_cells(rows), strict=True))
    width = COLUMNS
    if sys.stdout.isatty():
        width = max(width, shutil.get_terminal_size().columns)
    widths = [max(map(len, column)) for column in columns]
    if sum(widths) + GAP * (len(widths) - 1) <= width:
        return table(rows)
    names = [_wrapped(name, FIRST_COLUMN, "  ") for name in columns[0]]
    widths[0] = max(len(part) for name in names for part in name)
    blocks = []
    for block in _fitting(widths[1:], width - widths[0]):
        lines = []
        for row, (first, *more) in enumerate(names):
            cells = [columns[index + 1][row] for index in block]
            lines.append(_aligned([first, *cells], [widths[0], *(widths[i + 1] for i in block)]))
            lines += more
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def _fitting(widths: Sequence[int], room: int) -> Iterator[list[int]]:
    """Group columns by their index, in order, so that each group fits into the room."""
    block: list[int] = []
    used = 0
    for index, width in enumerate(widths):
        if block and used + GAP + width > room:
            yield block
            block, used = [], 0
        block.append(index)
        used += GAP + width
    yield block


def paragraph(text: str, further: str = "  ") -> str:
    """Wrap a text at 80 columns. further: what the second and later lines begin with."""
    return "\n".join(_wrapped(text, COLUMNS, further))


def percent(value: float) -> str:
    """Write a share as a percentage with two decimals."""
    return f"{value:.2%}"


def _cells(rows: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    names = list(rows[0])
    return [names, *([screen.one_line(str(row[name])) for name in names] for row in rows)]


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    gap = " " * GAP
    padded = (f"{cell:{width}}" for cell, width in zip(cells, [*widths, 0], strict=False))
    return gap.join(padded).rstrip()


def _wrapped(text: str, width: int, further: str = "") -> list[str]:
    lines = textwrap.wrap(
        text, width, subsequent_indent=further, break_long_words=False, break_on_hyphens=False
    )
    return lines or [""]
