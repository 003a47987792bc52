"""What answers at once, because it imports none of the heavy libraries."""

import subprocess
import sys

import pytest

from tests.cli.conftest import environment

PROBE = """
import sys
from avsnn_cli.main import main
try:
    main()
except SystemExit as end:
    print(end.code, *sorted({"torch", "numpy", "pydantic", "h5py"} & set(sys.modules)))
"""


def imported(home, *arguments):
    """Return the exit code and the heavy libraries that a command imported."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *arguments],
        env=environment(home),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    code, *names = done.stdout.splitlines()[-1].split()
    return int(code), names, done.stderr


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_the_help_imports_nothing_heavy(arguments, home):
    assert imported(home, *arguments)[:2] == (0, [])


@pytest.mark.parametrize("arguments", [["train", "--help"], ["trian"]])
def test_the_help_of_a_verb_imports_no_torch(arguments, home):
    # pydantic is brought in by Typer itself
    assert not {"torch", "numpy", "h5py"} & set(imported(home, *arguments)[1])


def test_listing_imports_no_torch(home):
    assert "torch" not in imported(home, "ls")[1]


@pytest.mark.usefixtures("prepared")
def test_a_second_prepare_says_hit_without_torch(home):
    code, names, said = imported(home, "prepare", "quickstart")
    assert code == 0 and not {"torch", "h5py"} & set(names)
    assert " prepare: hit, digits-av-" in said
