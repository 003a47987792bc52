"""The command line as its users have it: in this process for the cheap things, else in its own."""

import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest

from avsnn_cli.main import main
from pipelines.disk import seal

ROOT = Path(__file__).parents[2]
# a run of seconds
SMALL = (
    "quickstart",
    "--set",
    "train.epochs=2",
    "--set",
    "model.width=16",
    "--set",
    "model.heads=2",
)
PATIENCE_S = 120


class Said(NamedTuple):
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def first(self):
        return self.err.split("\n")[0]


def environment(home, **more):
    # one thread, so that every process computes the same bits
    kept = {k: v for k, v in os.environ.items() if k not in ("AVSNN_MIRROR", "COLUMNS")}
    return kept | {"AVSNN_HOME": str(home), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"} | more


def in_process(home, *arguments, mirror=None):
    """Run a command in this process, which imports torch once for all tests."""
    out, err = io.StringIO(), io.StringIO()
    handler = signal.getsignal(signal.SIGTERM)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AVSNN_HOME", str(home))
        patch.delenv("AVSNN_MIRROR", raising=False)
        if mirror is not None:
            patch.setenv("AVSNN_MIRROR", mirror)
        patch.setattr(sys, "argv", ["avsnn", *map(str, arguments)])
        with (
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            pytest.raises(SystemExit) as end,
        ):
            main()
    signal.signal(signal.SIGTERM, handler)
    return Said(end.value.code or 0, out.getvalue(), err.getvalue())


def own_process(home, *arguments, **more):
    """Run a command as `avsnn` runs it; more: environment variables."""
    done = subprocess.run(
        [sys.executable, "-m", "avsnn_cli", *map(str, arguments)],
        env=environment(home, **more),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    return Said(done.returncode, done.stdout, done.stderr)


class Started:
    """A command that runs meanwhile, and what it has said so far."""

    def __init__(self, home, *arguments):
        self.file = Path(home).parent / f"said-{time.monotonic_ns()}"
        with self.file.open("w") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "avsnn_cli", *arguments],
                env=environment(home),
                stdout=subprocess.DEVNULL,
                stderr=err,
                # tests may run in a background job, which a shell lets ignore SIGINT
                preexec_fn=partial(signal.signal, signal.SIGINT, signal.default_int_handler),
            )

    @property
    def err(self):
        return self.file.read_text()

    def wait_until(self, so):
        """Wait until something holds; fails if the command ends before."""
        end = time.monotonic() + PATIENCE_S
        while not so():
            assert self.process.poll() is None and time.monotonic() < end, self.err
            time.sleep(0.005)

    def end(self, number=None):
        """Send a signal, if any, and wait; returns the exit code."""
        if number is not None:
            self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)


def flip_a_bit(file):
    """Damage a file as a bad disk does."""
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def rewrite(run, name, change):
    """Change a file of a run and seal it and all that was made with it anew, as a forger would."""
    content = json.loads((run / name).read_text(encoding="utf-8"))
    change(content)
    seal.publish(run / name, content)
    for file in run.glob("*.json"):
        other = json.loads(file.read_text(encoding="utf-8"))
        if name in other.get("made_with", {}):
            sealed = json.loads((run / name).read_text(encoding="utf-8"))["seal"]
            rewrite(run, file.name, lambda c, sealed=sealed: c["made_with"].update({name: sealed}))


@pytest.fixture
def home(tmp_path):
    """A new home, without anything in it."""
    return tmp_path / "home"


@pytest.fixture
def avsnn(home):
    """Run a command in this process, in the home of the test."""
    return lambda *arguments: in_process(home, *arguments)


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    """A home in which the small run was trained in one go; not to be changed."""
    home = tmp_path_factory.mktemp("undisturbed") / "home"
    done = own_process(home, "train", *SMALL)
    assert done.code == 0, done.err
    return home


@pytest.fixture(scope="session")
def evaluated(undisturbed):
    """The same home, evaluated and with a noise curve; what the two verbs said as JSON."""
    results = [
        in_process(undisturbed, *verb, "--json")
        for verb in (["evaluate"], ["noise-eval", "--snr", "0:30:15"])
    ]
    assert [said.code for said in results] == [0, 0], results
    return results


@pytest.fixture
def trained(undisturbed, evaluated, home):  # noqa: ARG001  (it works on that home)
    """A copy of that home, to do anything with; returns the run's folder."""
    shutil.copytree(undisturbed, home)
    (run,) = (home / "runs").glob("quickstart-*")
    return run


@pytest.fixture
def prepared(undisturbed, home):
    """A home with nothing but clips and caches; returns the folder of the caches."""
    for name in ("manifests", "cache"):
        shutil.copytree(undisturbed / name, home / name)
    return home / "cache" / "digits-av"
