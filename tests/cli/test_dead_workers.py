"""Training that streams its batches, as a terminal, a scheduler and the OOM killer treat it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from pipelines.disk import store
from pipelines.training import checkpoint
from tests.cli.conftest import PATIENCE_S, environment

STREAMED = (
    "train",
    "quickstart",
    "--set",
    "train.epochs=200",
    "--set",
    "model.width=16",
    "--set",
    "model.heads=2",
    "--set",
    "train.data_on_device=no",
    "--set",
    "runtime.num_workers=2",
    "--quiet",
)


class Group:
    """A command in a process group of its own."""

    def __init__(self, home, *before):
        self.process = subprocess.Popen(
            [*before, sys.executable, "-m", "avsnn_cli", *STREAMED],
            env=environment(home),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.default_int_handler),
        )

    def workers(self):
        """List the reading processes of the command, whatever stands between."""
        found = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rpartition(")")[2].split()
                line = (stat.parent / "cmdline").read_text()
            except OSError:  # gone
                continue
            if int(fields[3]) == self.process.pid and "spawn_main" in line:
                found.append(int(stat.parent.name))
        return found

    def wait_for(self, so):
        end = time.monotonic() + PATIENCE_S
        while not (found := so()):
            assert self.process.poll() is None and time.monotonic() < end
            time.sleep(0.01)
        return found

    def ends_with(self):
        said = self.process.communicate(timeout=30)[1]
        assert "Traceback" not in said and "a bug" not in said
        return self.process.returncode, said


def epochs(home):
    return [
        json.loads(line)
        for file in home.glob("runs/quickstart-*/metrics.jsonl")
        for line in file.read_text().splitlines()
    ]


def assert_goes_on(home):
    """Check that there is one checkpoint, of a step in the epoch after the last that was ended."""
    (kept,) = home.glob("runs/quickstart-*/checkpoint-*")
    assert kept.name.startswith(f"checkpoint-{len(epochs(home)):06d}-")
    assert set(store.read_json(kept / "receipt.json")["files"]) == set(checkpoint.FILES)


@pytest.fixture
def streaming(home, undisturbed):
    """Make a home in which all is prepared and a command that has trained for an epoch."""
    shutil.copytree(undisturbed, home, ignore=shutil.ignore_patterns("runs"))
    started = []

    def start(*before):
        started.append(Group(home, *before))
        started[0].wait_for(lambda: epochs(home))
        return started[0]

    yield start
    for group in started:
        if group.process.poll() is None:
            os.killpg(group.process.pid, signal.SIGKILL)
            group.process.communicate()


def test_a_worker_that_dies_ends_the_run_with_a_checkpoint_and_5(home, streaming):
    group = streaming()
    workers = group.workers()
    assert len(workers) == 2
    os.kill(workers[0], signal.SIGKILL)
    code, said = group.ends_with()
    assert code == 5 and "a process that reads rows for training was killed by SIGKILL" in said
    assert_goes_on(home)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_to_the_whole_group_saves_a_checkpoint(home, streaming, number, code):
    group = streaming()
    os.killpg(group.process.pid, number)
    assert group.ends_with()[0] == code
    assert_goes_on(home)


def test_a_signal_that_comes_twice_is_one(home, streaming):
    """`timeout` tells the command and then its whole group."""
    group = streaming(shutil.which("timeout"), "600")
    os.kill(group.process.pid, signal.SIGTERM)
    assert group.ends_with()[0] == 143
    assert_goes_on(home)


def test_a_signal_wins_over_workers_that_do_not_answer_which_are_kept_between_epochs(
    home, streaming
):
    group = streaming()
    workers, count = group.workers(), len(epochs(home))
    group.wait_for(lambda: len(epochs(home)) >= count + 2)
    assert len(workers) == 2 and group.workers() == workers
    for worker in workers:
        os.kill(worker, signal.SIGSTOP)
    time.sleep(0.3)
    os.kill(group.process.pid, signal.SIGTERM)
    assert group.ends_with()[0] == 143 and not group.workers()
    assert_goes_on(home)
