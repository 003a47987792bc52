"""One command on several devices at once: a process for each, stopped together."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Sequence

SAVING_S = 30  # time for a process to save its state when it is stopped


def run_on_each(devices: Sequence[str]) -> None:
    """Run this same command once per device; the locks of the runs divide the work."""
    arguments: list[str] = []
    for word in sys.argv[1:]:
        # drops --device and its value, in both spellings: each process gets one device
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
    """Terminate processes, and kill those that have not ended after SAVING_S seconds."""
    running = [process for process in started if process.poll() is None]
    for process in running:
        process.terminate()
    end = time.monotonic() + SAVING_S  # one deadline for all: they save at the same time
    try:
        for process in running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0, end - time.monotonic()))
    finally:  # a second Ctrl-C does not wait for them
        for process in running:
            if process.poll() is None:
                process.kill()
                process.wait()
