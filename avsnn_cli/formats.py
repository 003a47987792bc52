"""A comparison as a table for people, as Markdown, LaTeX or CSV; a cell's text stays in its cell.

Names, and what a recipe quotes of a paper, are text from outside: no line break, no sign of the
format and no spreadsheet formula in them takes effect.
"""

import csv
import io
import re
from collections.abc import Mapping, Sequence

from avsnn_cli.layout import paragraph, table_in_blocks
from pipelines import registry
from pipelines.errors import UsageError

FORMATS = ["table", "markdown", "latex", "csv"]
LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "±": r"$\pm$",
    "×": r"$\times$",
    "°": r"$^\circ$",
    "≤": r"$\le$",
    "≥": r"$\ge$",
    "µ": r"$\mu$",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}
# an underscore inside a word is plain, one at its edge begins emphasis
NOT_PLAIN_MARKDOWN = re.compile(r"[\\`*|<>\[\]~#&]|(?<!\w)_|_(?!\w)|^[-+]")
# what a spreadsheet takes for the beginning of a formula, in the wide forms of East Asia too
FORMULA = "=+-@＝＋－＠"
LEVEL = re.compile(r"[-+]?\d+(\.\d+)?( dB)?")  # a number, or a noise level such as -5 dB

Cells = Sequence[Mapping[str, str]]


def laid_out(cells: Cells, notes: Sequence[str], style: str) -> str:
    """Lay rows out with their notes. style: of FORMATS. Raises UsageError for another."""
    if style not in FORMATS:
        raise UsageError(f"--format {style}: no such format", registry.closest(style, FORMATS))
    rows = [[_joined(cell) for cell in row] for row in (list(cells[0]), *_values(cells))]
    notes = [_joined(note) for note in notes]
    if style == "table":
        wide = table_in_blocks([dict(zip(rows[0], row, strict=True)) for row in rows[1:]])
        gap = [""] if "\n\n" in wide else []  # so that the notes are not part of the last block
        return "\n".join([wide, *gap, *map(paragraph, notes)])
    if style == "csv":
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([[_no_formula(c) for c in r] for r in rows])
        return text.getvalue().rstrip("\n")
    if style == "markdown":
        lines = ["| " + " | ".join(map(_markdown, row)) + " |" for row in rows]
        rule = "|" + "---|" * len(rows[0])
        return "\n".join([lines[0], rule, *lines[1:], "", *map(_markdown, notes)])
    head, *lines = [" & ".join(map(_latex, row)) + r" \\" for row in rows]
    begin = rf"\begin{{tabular}}{{{'l' * len(rows[0])}}}"
    body = [begin, r"\hline", head, r"\hline", *lines, r"\hline", r"\end{tabular}"]
    return "\n".join([*body, *(f"% {note}" for note in notes)])


def _values(cells: Cells) -> list[list[str]]:
    return [list(row.values()) for row in cells]


def _joined(text: str) -> str:
    """Join the lines of a text; a line break of any kind (TeX, Unicode) becomes a space."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+", " ", text).strip()


def _latex(text: str) -> str:
    return "".join(LATEX.get(sign, sign) for sign in text)


def _markdown(text: str) -> str:
    return NOT_PLAIN_MARKDOWN.sub(lambda match: f"\\{match[0]}", text)


def _no_formula(text: str) -> str:
    """Put an apostrophe before a text that a spreadsheet would compute."""
    return f"'{text}" if text[:1] and text[0] in FORMULA and not LEVEL.fullmatch(text) else text
