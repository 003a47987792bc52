"""Memory limits of a shell: what cannot load under them says so and ends with 5, by no signal."""

import resource
import shutil
import subprocess
import sys
from functools import partial

import pytest

from tests.cli.conftest import PATIENCE_S, SMALL, Said, environment

MIB = 1 << 20
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the limits are Linux's")


def limited(home, kind, most_mib, *arguments):
    """Run a command as under `ulimit -v` or `ulimit -d`."""
    limit = partial(resource.setrlimit, kind, (most_mib * MIB, most_mib * MIB))
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


# 50 and 100 MiB: not enough for numpy; 200 and 600 ended torch by a signal
@pytest.mark.parametrize(
    ("kind", "most_mib", "option", "library"),
    [
        (resource.RLIMIT_AS, 100, "-v", "numpy"),
        (resource.RLIMIT_AS, 700, "-v", "torch"),
        (resource.RLIMIT_DATA, 50, "-d", "numpy"),
        (resource.RLIMIT_DATA, 200, "-d", "torch"),
        (resource.RLIMIT_DATA, 450, "-d", "torch"),
    ],
)
def test_what_does_not_load_under_a_limit_is_named_with_it(
    home, undisturbed, kind, most_mib, option, library
):
    shutil.copytree(undisturbed, home, ignore=shutil.ignore_patterns("runs"))
    said = limited(home, kind, most_mib, "train", *SMALL)
    assert said.code == 5, said
    assert f"out of memory: {library} does not load" in said.err
    assert f"(ulimit {option} {most_mib * 1024}, in KiB)" in said.err
    assert f"raise the limit, ulimit {option} unlimited" in said.err and "Traceback" not in said.err


def test_what_needs_neither_works_under_a_limit_and_what_fits_is_trained(home, undisturbed):
    assert limited(home, resource.RLIMIT_AS, 100, "ls", "recipes").code == 0
    shutil.copytree(undisturbed, home, ignore=shutil.ignore_patterns("runs"))
    assert limited(home, resource.RLIMIT_AS, 16 * 1024, "train", *SMALL).code == 0
