"""Reading processes: the rows asked for, and what happens when one dies, stops or gets a signal."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from pipelines.cache.rows import Block, Rows, write
from pipelines.errors import DataError
from pipelines.training.interrupt import Interrupted
from pipelines.training.readers import ReaderDied, Readers

ROWS = np.random.default_rng(0).normal(size=(40, 3, 5)).astype(np.float16)


@pytest.fixture
def cache(tmp_path):
    hashes = np.arange(len(ROWS), dtype=np.uint64)
    names = [f"a{i}" for i in range(len(ROWS))]
    path = tmp_path / "train.h5"
    write(path, len(ROWS), ROWS.shape[1:], ROWS.dtype, [Block(names, ROWS, hashes, hashes)], {})
    return Rows(path)


@pytest.fixture
def readers():
    found = []

    def make(*arguments):
        found.append(Readers(*arguments))
        return found[-1]

    yield make
    for one in found:
        one.close()


def children():
    """List the processes that this one has started and that live."""
    found = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    return {int(pid) for pid in found if "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text()}


def asked(cache, count=6):
    return [[(cache, np.array([i % 40, 39 - i % 40]))] for i in range(count)]


@pytest.mark.parametrize("count", [1, 3, 8])
def test_rows_come_in_the_order_asked_and_the_processes_are_kept(cache, readers, count):
    reading = readers(count)
    started = set()
    for _ in range(2):
        for i, (rows,) in enumerate(reading.read(asked(cache))):
            assert np.array_equal(rows, ROWS[[i, 39 - i]])
        started |= children()
    assert len(started) == count
    reading.close()
    assert not children()


def test_processes_end_with_the_one_that_uses_them(cache, readers):
    reading = readers(2)
    list(reading.read(asked(cache)))
    assert len(children()) == 2
    del reading
    readers.__closure__[0].cell_contents.clear()
    assert not children()


@pytest.mark.parametrize("moment", ["early", "late"])
def test_a_killed_process_is_said_in_seconds(cache, readers, moment):
    """Killed before it had read what it was sent, a process was waited for without end."""
    reading = readers(2)
    stream = reading.read(asked(cache, 1000))
    if moment == "late":
        next(stream)
    else:
        reading._start()
    os.kill(min(children()), signal.SIGKILL)
    began = time.monotonic()
    with pytest.raises(ReaderDied, match="was killed by SIGKILL") as caught:
        list(stream)
    assert time.monotonic() - began < 10
    assert caught.value.exit_code == 5 and not children()
    assert len(list(reading.read(asked(cache)))) == 6  # others are started


def test_processes_leave_the_signals_of_the_group_to_their_parent(cache, readers):
    """From their first moment: no matter how long they take to start."""
    reading = readers(3)
    stream = reading.read(asked(cache, 50))
    reading._start()
    for _ in range(30):
        for pid in children():
            os.kill(pid, signal.SIGINT)
            os.kill(pid, signal.SIGTERM)
        time.sleep(0.02)
    assert sum(len(rows) for (rows,) in stream) == 100
    assert len(children()) == 3


def test_waiting_for_a_process_that_does_not_answer_ends_with_a_signal(cache, readers):
    asked_to_stop = []
    reading = readers(1, lambda: bool(asked_to_stop))
    stream = reading.read(asked(cache))
    next(stream)
    (pid,) = children()
    os.kill(pid, signal.SIGSTOP)
    asked_to_stop.append(1)
    with pytest.raises(Interrupted):
        list(stream)
    assert not children()


def test_what_a_process_finds_wrong_is_raised_here(cache, readers):
    content = bytearray(cache.path.read_bytes())
    place = bytes(content).index(ROWS[3].tobytes())
    content[place] ^= 1
    cache.path.write_bytes(content)
    with pytest.raises(DataError, match=r"row 3 .* is damaged") as caught:
        list(readers(2).read(asked(cache)))
    assert "avsnn cache verify" in caught.value.hint


def test_a_program_that_is_killed_leaves_no_process_behind(cache):
    program = f"""
import numpy as np, time
from pathlib import Path
from pipelines.cache.rows import Rows
from pipelines.training.readers import Readers
from tests.unit.test_readers import asked, children
if __name__ == "__main__":
    reading = Readers(2)
    list(reading.read(asked(Rows(Path({str(cache.path)!r})))))
    print(*children(), flush=True)
    time.sleep(60)
"""
    script = cache.path.with_name("program.py")
    script.write_text(program)
    root = str(Path(__file__).parents[2])
    process = subprocess.Popen(
        [sys.executable, script],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": root},
    )
    pids = process.stdout.readline().split()
    assert len(pids) == 2
    process.kill()
    process.wait()
    ends = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in pids) and time.monotonic() < ends:
        time.sleep(0.05)
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
