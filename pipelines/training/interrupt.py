"""SIGINT and SIGTERM noted in an object that the training loop checks between steps."""

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType

from pipelines.errors import Terminated

# timeout, npm and others send one signal to the process and again to its group
SAME_SIGNAL_S = 1.0


class Interrupted(Exception):
    """A signal asks to stop; raised between steps, where the state can be saved."""


class Stop:
    """Whether a signal asks to stop. A second signal, later, stops at once."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def __bool__(self) -> bool:
        return self.signal is not None

    def leave(self) -> None:
        """Raise Terminated for SIGTERM, else KeyboardInterrupt; call it when the state is saved."""
        raise Terminated if self.signal == signal.SIGTERM else KeyboardInterrupt


@contextlib.contextmanager
def stop_on_signals(stop: Stop) -> Iterator[None]:
    """Note SIGINT and SIGTERM in `stop` instead of dying of them, until the context ends."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread gets signals
        return
    came = 0.0

    def note(number: int, _frame: FrameType | None) -> None:
        nonlocal came
        if stop and time.monotonic() - came > SAME_SIGNAL_S:
            raise Terminated if number == signal.SIGTERM else KeyboardInterrupt
        if not stop:
            stop.signal, came = number, time.monotonic()

    # a shell starts background jobs with SIGINT ignored: it stays ignored
    handled = [n for n in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(n) != signal.SIG_IGN]
    before = {number: signal.signal(number, note) for number in handled}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
