"""What is printed: names cannot steer a terminal, every encoding can show it, none can be lost."""

import io
import json
import os
import pty
import re
import shutil
import subprocess
import sys
import unicodedata

import pytest

from avsnn_cli import screen, tables
from tests.cli.conftest import environment, in_process, own_process

STEERING = "\x1b[31mred\x9b2J\u202e\x7f\r"
ENCODINGS = ["ascii", "latin-1", "cp1252", "utf-8"]


def obeyed(text):
    """List the characters that a terminal obeys, line ends aside."""
    return [s for s in text if s not in "\n\t" and unicodedata.category(s) in ("Cc", "Cf")]


def with_closed(home, redirection, *arguments):
    """Run a command in a shell that closes streams."""
    return subprocess.run(
        [
            "sh",
            "-c",
            f'exec "$@" {redirection}',
            "sh",
            sys.executable,
            "-m",
            "avsnn_cli",
            *arguments,
        ],
        env=environment(home),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_what_is_printed_is_escaped_and_stays_what_json_says():
    assert screen.shown("a\x1b[2J\n\tb é µ") == "a\\u001b[2J\n\tb é µ"
    for sign in map(chr, range(0x11000)):
        assert not obeyed(screen.shown(sign))
        assert json.loads(screen.shown(json.dumps(sign, ensure_ascii=False))) == sign
    assert screen.one_line("a\nb\r\tc\u2028") == "a\\nb\\r\\tc\\u2028"


@pytest.mark.parametrize("verb", ["ls", "ls --json", "status", "validate", "evaluate", "show"])
def test_a_name_cannot_steer_the_terminal(verb, trained, home, tmp_path):
    name = f"x{STEERING}"
    shutil.copytree(trained, trained.with_name(f"{name}-0123456789ab"))
    recipe = tmp_path / f"{name}.yaml"
    recipe.write_text("version: 1\nseed: 0\ndata:\n  dataset: 'x\x1b[31m'\n", encoding="utf-8")
    arguments = {
        "ls": ("ls", "runs"),
        "ls --json": ("ls", "runs", "--json"),
        "evaluate": ("evaluate", name),
    }.get(verb, (verb, str(recipe)))
    said = in_process(home, *arguments)
    assert "u001b" in said.out + said.err or "x1b" in said.out + said.err
    assert not obeyed(said.out) and not obeyed(said.err)
    if verb == "ls --json":
        assert f"{name}-0123456789ab" in [row["run"] for row in json.loads(said.out)["runs"]]


def test_a_class_cannot_steer_the_terminal_nor_make_a_row_of_its_own(trained):
    evaluation = json.loads((trained / "eval.json").read_text())
    rows = len(tables.accuracy_table(evaluation).splitlines())
    evaluation["per_class"][0]["class"] = f"a\nb{STEERING}"
    text = tables.accuracy_table(evaluation)
    assert "a\\nb\\u001b[31mred" in text and not obeyed(text)
    assert len(text.splitlines()) == rows


def test_a_progress_bar_shows_a_name_and_does_not_obey_it():
    code = (
        "from avsnn_cli.render import TerminalReporter\n"
        "with TerminalReporter() as report:\n"
        "    report.advance('clips of \\x1b]0;mine\\x07 [bold]x', 1, 2)\n"
        "    report.say('done \\x1b]0;mine\\x07')\n"
    )
    ours, theirs = pty.openpty()
    env = environment("/nowhere", TERM="xterm", COLUMNS="200")
    process = subprocess.Popen([sys.executable, "-c", code], stderr=theirs, env=env)
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:  # the end, on Linux
            break
        if not part:
            break
        shown += part
    os.close(ours)
    assert process.wait(60) == 0
    assert b"\\u001b]0;mine\\u0007 [bold]x" in shown and b"done \\u001b]0;mine" in shown
    assert b"\x1b]0;" not in shown and b"\x07" not in shown


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("verb", ["energy", "compare", "evaluate", "ls"])
def test_every_table_is_shown_in_every_encoding(encoding, verb, trained, home):
    arguments = {"ls": ("ls", "runs"), "energy": ("energy", trained.name, "--samples", "8")}
    said = subprocess.run(
        [sys.executable, "-m", "avsnn_cli", *arguments.get(verb, (verb, trained.name))],
        env=environment(home, PYTHONIOENCODING=encoding, PYTHONUTF8="0"),
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert said.returncode == 0, said.stderr
    text = said.stdout.decode(encoding)
    assert text.strip() and "\\u" not in text
    if verb == "energy":
        assert ("uJ float32" if encoding == "ascii" else "µJ float32") in text


def test_what_we_write_has_an_ascii_of_its_own_and_names_are_escaped():
    stream = codecs_stream("ascii")
    screen.write("µJ 1 ± 2 × 90° ≤ 5 … café 日", stream)
    assert stream.buffer.getvalue() == (b"uJ 1 +/- 2 x 90 deg <= 5 ... caf\\u00e9 \\u65e5\n")
    assert screen.is_ascii(stream) and not screen.is_ascii(codecs_stream("utf-8"))


def codecs_stream(encoding):
    screen.open_streams()
    return io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors=screen.ERRORS)


def test_json_to_an_ascii_terminal_loses_nothing(trained, home):
    name = "été µ-0123456789ab"
    shutil.copytree(trained, trained.with_name(name))
    said = own_process(home, "ls", "runs", "--json", PYTHONIOENCODING="ascii")
    assert said.out.isascii()
    assert name in [row["run"] for row in json.loads(said.out)["runs"]]


def test_no_help_needs_more_than_ascii(home):
    for verb in ("train", "sweep", "report", "export", "predict", "noise-eval", "compare"):
        assert in_process(home, verb, "--help").out.isascii()


@pytest.mark.parametrize("arguments", [("ls",), ("--version",), ("--help",), ("ls", "--json")])
def test_a_closed_stdout_is_one_line(arguments, home):
    said = with_closed(home, ">&-", *arguments)
    assert said.returncode == 5
    assert said.stderr == "error: cannot write the result: Bad file descriptor\n"


def test_a_closed_stderr_leaves_stdout_as_it_is(home):
    said = with_closed(home, "2>&-", "ls", "--json")
    assert said.returncode == 0 and json.loads(said.stdout)["runs"] == []
    said = with_closed(home, "2>&-", "evaluate", "nothing")
    assert (said.returncode, said.stdout) == (4, "")


def test_no_file_takes_the_number_of_a_closed_stream(home):
    said = with_closed(home, "<&- >&- 2>&-", "prepare", "quickstart", "--json")
    assert said.returncode == 5  # the result has no place to go; the caches are there
    check = in_process(home, "cache", "verify")
    assert check.code == 0 and re.search("digits-av", check.out)
