"""A sweep on several devices that is stopped takes its processes with it, and goes on."""

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial

from .conftest import PATIENCE_S, SMALL, environment, in_process

SWEPT = ("sweep", *SMALL, "--seeds", "2", "--no-noise", "--quiet")


def all_are_gone(pipe):
    """Say whether nobody holds the other end of a pipe any more, without waiting for it."""
    os.set_blocking(pipe.fileno(), False)
    while (read := pipe.read()) is not None:
        if not read:
            return True
    return False


def started(home):
    """Start a sweep on two devices; its stderr is theirs too, and ends with the last of them."""
    return subprocess.Popen(
        [sys.executable, "-m", "avsnn_cli", *SWEPT, "--device", "cpu,cpu"],
        env=environment(home),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        bufsize=0,
        # tests may run in a background job, which a shell lets ignore SIGINT
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.default_int_handler),
    )


def test_stopped_it_leaves_no_process_and_no_lock_and_goes_on(home):
    for number, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
        # the last that a run makes before its first step
        before = set(home.glob("runs/*/tensorboard/*"))
        process, end = started(home), time.monotonic() + PATIENCE_S
        while len(set(home.glob("runs/*/tensorboard/*")) - before) < 2:
            assert process.poll() is None and time.monotonic() < end
            time.sleep(0.005)
        process.send_signal(number)  # to it alone, as `kill` and a scheduler do
        assert process.wait(PATIENCE_S) == code
        assert all_are_gone(process.stderr)
        process.stderr.close()
        # they were asked to stop, not killed: each had the time to write down that it was
        ends = [log.read_text().splitlines()[-1][20:] for log in home.glob("runs/*/run.log")]
        assert ends == ["stopped", "stopped"]
    again = in_process(home, *SWEPT, "--json")
    assert again.code == 0, again.err
    assert json.loads(again.out)["rows"][0]["seeds"] == [0, 1]
