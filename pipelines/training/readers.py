"""Processes that read rows of caches while the network computes.

Not torch's DataLoader: its start waits for ever for a process that was killed before it had read
what it was sent, its queues have locks that a dead process keeps, its batches fill /dev/shm, and a
signal to the whole group ends its processes before anything is saved. Here each process has a
connection of its own, which ends with either side, and leaves signals to its parent.
"""

import atexit
import contextlib
import multiprocessing
import signal
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from multiprocessing import connection, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

import numpy as np

from pipelines.cache.rows import Rows
from pipelines.errors import MachineError
from pipelines.training.interrupt import Interrupted

# the rows of a batch: of each cache, which ones
Request = Sequence[tuple[Rows, np.ndarray]]

PARENTS = (signal.SIGINT, signal.SIGTERM)
POLL_S = 0.2  # between two checks for a signal during a wait
END_S = 5


class ReaderDied(MachineError):
    """A reading process ended unexpectedly; the state of training is whole."""


class Readers:
    """A fixed number of reading processes, started at the first read and kept until closed."""

    def __init__(self, count: int, asked_to_stop: Callable[[], bool] = bool) -> None:
        self._count, self._asked_to_stop = count, asked_to_stop
        self._members: list[tuple[BaseProcess, Connection]] = []
        # the processes outlive neither this object nor the program, whose end waits for them
        self._end = weakref.finalize(self, _end, self._members)
        atexit.register(self._end)

    def close(self) -> None:
        """End the processes; another read starts others."""
        _end(self._members)

    def read(self, requests: Iterable[Request]) -> Iterator[list[np.ndarray]]:
        """Read the rows of each request, in order; every process is one request ahead.

        Yields for each request an array (b, *row_shape) of each of its caches. Raises ReaderDied,
        whatever reading raises, and Interrupted if a signal comes while there is nothing to do
        but wait.
        """
        if not self._members:
            self._start()
        under_way: deque[tuple[int, Request]] = deque()
        is_whole = False
        try:
            for turn, request in enumerate(requests):
                number = turn % self._count
                if turn >= self._count:
                    arrays = self._received(*under_way.popleft())
                    self._send(number, request)
                    under_way.append((number, request))
                    yield arrays
                else:
                    self._send(number, request)
                    under_way.append((number, request))
            while under_way:
                yield self._received(*under_way.popleft())
            is_whole = True
        finally:
            if not is_whole:  # unread answers would be taken for those of the next read
                self.close()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        # a signal is held back from the first moment of a process on: what it would do is inherited
        resource_tracker.ensure_running()  # at its own start it would let them through
        before = signal.pthread_sigmask(signal.SIG_BLOCK, PARENTS)
        try:
            for _ in range(self._count):
                ours, theirs = context.Pipe()
                process = context.Process(target=serve, args=(theirs,), daemon=True)
                self._members.append((process, ours))
                process.start()
                theirs.close()
        except OSError as error:
            self.close()
            raise MachineError(
                f"cannot start a process that reads rows: {error.strerror}",
                "lower runtime.num_workers; 0 needs no such process",
            ) from error
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _send(self, number: int, request: Request) -> None:
        process, link = self._members[number]
        try:
            link.send([(cache.path, rows) for cache, rows in request])
        except OSError as error:
            raise _died(process) from error

    def _received(self, number: int, request: Request) -> list[np.ndarray]:
        process, link = self._members[number]
        while not connection.wait([link, process.sentinel], POLL_S):
            if self._asked_to_stop():
                raise Interrupted
        arrays = [np.empty((len(rows), *cache.row_shape), cache.dtype) for cache, rows in request]
        try:
            fault = link.recv()
            if fault is None:
                for array in arrays:
                    link.recv_bytes_into(array.data.cast("B"))
        except (EOFError, OSError) as error:
            raise _died(process) from error
        if fault is not None:
            raise fault
        return arrays


def serve(link: Connection) -> None:
    """Answer requests until the other side is gone: an error or None, then each cache's rows."""
    caches: dict[object, Rows] = {}
    with contextlib.suppress(EOFError, ConnectionError):
        while True:
            request = link.recv()
            try:
                arrays = []
                for path, rows in request:
                    if path not in caches:
                        caches[path] = Rows(path)
                    arrays.append(caches[path].read(rows.tolist()))
            except Exception as error:  # raised in the parent, where the answer is read
                link.send(error)
                continue
            link.send(None)
            for array in arrays:
                link.send_bytes(array.data.cast("B"))


def _died(process: BaseProcess) -> ReaderDied:
    process.join(END_S)
    code = process.exitcode or 0
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
    return ReaderDied(
        f"a process that reads rows for training {how}",
        "if memory ran out, lower runtime.num_workers; the same command goes on from here",
    )


def _end(members: list[tuple[BaseProcess, Connection]]) -> None:
    """Kill processes; an end of their own would be waited for even where a disk hangs."""
    for process, link in members:
        link.close()
        with contextlib.suppress(AttributeError, ValueError):  # it never started
            process.kill()
            process.join(END_S)
    members.clear()
