"""SIGINT and SIGTERM as a question that the loop asks between steps."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from pipelines.errors import Terminated


class Stop:
    """Whether a signal has asked for the end; a second SIGINT does not wait for the answer."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def __bool__(self) -> bool:
        return self.signal is not None

    def leave(self) -> None:
        """Raise what the signal means, once the state is saved."""
        raise Terminated if self.signal == signal.SIGTERM else KeyboardInterrupt


@contextlib.contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """Note SIGINT and SIGTERM instead of dying of them, until the context ends."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop  # only the main thread gets signals
        return

    def note(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        if stop.signal is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.signal = number

    # a shell starts background jobs with SIGINT ignored: so it stays
    heard = [n for n in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(n) != signal.SIG_IGN]
    before = {number: signal.signal(number, note) for number in heard}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
