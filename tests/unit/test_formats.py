"""Whatever a name or a paper's words hold stays one cell or one note, in every format."""

import csv
import io
import re

import pytest

from avsnn_cli.formats import FORMATS, laid_out

HOSTILE = "a\\b~c^d_e{f}$g%h&i#j<k>l|m`n`*o*[p](q)\n\\input{/etc/passwd}\r\x85\u2028\x0c% x"
BREAKS = re.compile("[\n\r\x0b\x0c\x85\u2028\u2029]")


def cells(name):
    return [
        {"system": name, "accuracy %": "90.00 ± 1.00", "-5 dB": "50.00"},
        {"system": "other", "accuracy %": "80.00", "-5 dB": "40.00"},
    ]


@pytest.mark.parametrize("style", FORMATS)
def test_a_name_or_a_note_with_line_breaks_adds_no_line(style):
    # the same but for its breaks, for a table folds names that are wider than the terminal
    one_line = " ".join(BREAKS.sub(" ", HOSTILE).split())
    plain = laid_out(cells(one_line), [one_line, "more"], style)
    hostile = laid_out(cells(HOSTILE), [HOSTILE, "more"], style)
    assert len(BREAKS.split(hostile)) == len(BREAKS.split(plain)) == len(plain.split("\n"))


def typeset(text):
    """Read LaTeX text as TeX shows it: the escapes of this test's signs, undone one by one."""
    named = {
        "textbackslash": "\\",
        "textasciitilde": "~",
        "textasciicircum": "^",
        "textless": "<",
        "textgreater": ">",
        "textbar": "|",
    }
    out, place = "", 0
    while place < len(text):
        if found := re.compile(r"\\(text[a-z]+)\{\}").match(text, place):
            out += named[found[1]]
        elif found := re.compile(r"\\([&%$#_{}])").match(text, place):
            out += found[1]
        else:
            found = re.compile(r"[^\\{}$&#^_~%]").match(text, place)
            assert found, text[place:]  # a sign that TeX would obey
            out += found[0]
        place = found.end()
    return out


def test_latex_shows_every_sign_and_obeys_none():
    lines = laid_out(cells(HOSTILE), [HOSTILE], "latex").split("\n")
    (row,) = [line for line in lines if "90.00" in line]
    first, accuracy, _ = row.removesuffix(r" \\").split(" & ")
    assert typeset(first) == " ".join(re.split(r"[\n\r\x85\u2028\x0c]+", HOSTILE))
    assert accuracy == r"90.00 $\pm$ 1.00"
    assert [line for line in lines if "input" in line] == [row, lines[-1]]
    assert lines[-1].startswith("% ")  # what follows on that line TeX throws away


def test_markdown_escapes_what_would_be_markup():
    line = laid_out(
        cells("s_cmrl | <b>x</b> `y` *z* [a](b) _c_ \\d"), ["# note", "- item"], "markdown"
    ).split("\n")
    assert line[2].startswith(
        r"| s_cmrl \| \<b\>x\</b\> \`y\` \*z\* \[a\](b) \_c\_ \\d | 90.00 ± 1.00 |"
    )
    assert line[-2:] == [r"\# note", r"\- item"]
    assert len({len(re.findall(r"(?<!\\)\|", row)) for row in line[:4]}) == 1


@pytest.mark.parametrize(
    "name", ["=1+1", "+1+1", "-2+3+cmd|' /C calc'!A0", "@SUM(A1)", "\t=1", "\r=1", "=HYPERLINK(1)"]
)
def test_csv_has_no_formula_and_keeps_its_numbers(name):
    text = laid_out(cells(name), [], "csv")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert rows[0]["system"] == f"'{name.strip()}"
    assert rows[0]["-5 dB"] == "50.00" and list(rows[0]) == list(cells(name)[0])
    assert rows[0]["accuracy %"] == "90.00 ± 1.00"
