"""SIGINT and SIGTERM as a question that the loop asks between steps."""

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType

from pipelines.errors import Terminated

# timeout, npm and others send one signal to the process and again to its group
SAME_S = 1.0


class Interrupted(Exception):
    """A signal has asked for the end; raised where nothing is half done."""


class Stop:
    """Whether a signal has asked for the end; a second one, later, does not wait for the answer."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def __bool__(self) -> bool:
        return self.signal is not None

    def leave(self) -> None:
        """Raise what the signal means, once the state is saved."""
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
        if stop and time.monotonic() - came > SAME_S:
            raise Terminated if number == signal.SIGTERM else KeyboardInterrupt
        if not stop:
            stop.signal, came = number, time.monotonic()

    # a shell starts background jobs with SIGINT ignored: so it stays
    heard = [n for n in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(n) != signal.SIG_IGN]
    before = {number: signal.signal(number, note) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
