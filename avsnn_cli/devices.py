"""One command on several devices at once: a process for each, stopped together."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Sequence

SAVING_S = 30  # what a process has to save its state when it is stopped


def run_on_each(devices: Sequence[str]) -> None:
    """Run this very command once a device; the runs' locks share the work out among them."""
    arguments: list[str] = []
    for word in sys.argv[1:]:
        if arguments and arguments[-1] == "--device":
            arguments.pop()
        elif not word.startswith("--device="):
            arguments.append(word)
    started: list[subprocess.Popen[bytes]] = []
    try:
        for device in devices:
            command = [sys.executable, "-m", "avsnn_cli", *arguments, "--device", device]
            started.append(subprocess.Popen(command, stdout=subprocess.DEVNULL))
        for process in started:
            process.wait()
    finally:
        stop(started)


def stop(started: Sequence["subprocess.Popen[bytes]"]) -> None:
    """Let processes save their state and end; what has not ended in time is killed."""
    running = [process for process in started if process.poll() is None]
    for process in running:
        process.terminate()
    end = time.monotonic() + SAVING_S
    try:
        for process in running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0, end - time.monotonic()))
    finally:  # a second Ctrl-C does not wait for them
        for process in running:
            if process.poll() is None:
                process.kill()
                process.wait()
