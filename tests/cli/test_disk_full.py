"""Verbs that run out of room: exit code 5, bytes needed and free, nothing left, and it goes on."""

import re
import resource
import shutil
import subprocess
import sys
from functools import partial

import pytest

from tests.cli.conftest import PATIENCE_S, SMALL, Said, environment, own_process

NEEDS = re.compile(r"it needs (more than )?[0-9]+ bytes, [0-9]+ are free, a file may have [0-9]+ ")


def limited(home, most_bytes, *arguments):
    """Run a command that may write no file longer than this, as under `ulimit -f` or a quota."""
    limit = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
    done = subprocess.run(
        [sys.executable, "-m", "avsnn_cli", *arguments],
        env=environment(home),
        preexec_fn=limit,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    return Said(done.returncode, done.stdout, done.stderr)


def half_made(home):
    return [
        path
        for path in home.rglob("*")
        if path.name.endswith(".part") or (path.is_dir() and not any(path.iterdir()))
    ]


# what does not fit: the clips, the first cache, the weights or the state of a checkpoint, an export
@pytest.mark.parametrize(
    ("verb", "most_bytes", "seed"),
    [
        (("prepare", *SMALL), 100_000, None),
        (("prepare", *SMALL), 300_000, None),
        (("train", *SMALL), 50_000, "cache"),
        (("train", *SMALL), 150_000, "cache"),
        (("export",), 50_000, "runs"),
    ],
    ids=["clips", "cache", "weights", "state", "export"],
)
def test_what_does_not_fit_ends_with_5_and_goes_on_when_there_is_room(
    home, undisturbed, verb, most_bytes, seed
):
    if seed:
        left_out = shutil.ignore_patterns("runs" if seed == "cache" else "tensorboard")
        shutil.copytree(undisturbed, home, ignore=left_out)
    said = limited(home, most_bytes, *verb)
    assert said.code == 5, said.err
    assert NEEDS.search(said.err) and "the same command goes on" in said.err
    assert "Traceback" not in said.err and "a bug" not in said.err
    assert not half_made(home)
    assert own_process(home, *verb).code == 0
