"""Locks: of the kernel or none; who waits knows for whom, and a look at one refuses nobody."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipelines.disk import locks, store
from pipelines.errors import LockedError, MachineError
from tests.unit import flock_preload

WAIT_S = 30
needs_a_compiler = pytest.mark.skipif(
    flock_preload.compiler() is None, reason="compiles a library to preload"
)
HEAD = """
import os, sys, time
from pathlib import Path
from pipelines.disk import locks, store
path = Path(sys.argv[1])
def attempt(action):
    try:
        action()
        print("no error")
    except Exception as error:
        print(type(error).__name__, getattr(error, "exit_code", ""), error)
"""


def child(code: str, path: Path, more: Mapping[str, str] = {}) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HEAD + code, str(path)],
        env={**os.environ, **more},
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@contextmanager
def held_by_a_child(path: Path) -> Iterator[subprocess.Popen[str]]:
    process = child(
        "with store.lock(path, what='it'):\n    print('held', flush=True)\n    sys.stdin.read()",
        path,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=WAIT_S)


def refused(path: Path) -> str:
    with pytest.raises(LockedError) as caught, store.lock(path, what="run x"):
        pass
    return caught.value.message


@needs_a_compiler
def test_where_there_is_no_flock_a_lock_is_refused_and_no_file_stands_for_one(
    tmp_path: Path,
) -> None:
    code = "attempt(lambda: store.lock(path, what='it').__enter__())\nos._exit(0)"
    more = flock_preload.variables(tmp_path)
    for _ in range(2):  # the first leaves nothing that the second would wait for
        out, err = child(code, tmp_path / "x", more).communicate(timeout=WAIT_S)
        assert out.startswith("MachineError 5 cannot lock "), err
        assert "this file system has no locks (flock: Function not implemented)" in out
    with store.lock(tmp_path / "x", what="it"):  # with flock again nothing is in the way
        pass


@needs_a_compiler
def test_a_check_finds_locks_that_are_missing_and_locks_that_let_a_second_one_in(
    tmp_path: Path,
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    locks.check(home)
    for lets_all_in, said in (
        (False, "has no locks"),
        (True, "two processes can hold the same lock at once"),
    ):
        more = flock_preload.variables(tmp_path, lets_all_in=lets_all_in)
        out, err = child("attempt(lambda: locks.check(path))", home, more).communicate()
        assert out.startswith("MachineError 5 ") and said in out, err
    assert list(home.iterdir()) == []


def test_who_holds_a_lock_and_since_when_is_said(tmp_path: Path) -> None:
    began = time.strftime("%Y-%m-%d %H:%M:%S")
    with held_by_a_child(tmp_path / "run") as process:
        said = refused(tmp_path / "run")
    start = f"run x is being worked on by another process: process {process.pid} on "
    assert said.startswith(start)
    since = said.rpartition(" since ")[2]
    assert began <= since <= time.strftime("%Y-%m-%d %H:%M:%S")


def test_a_holder_that_is_stopped_is_said_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "LOOK_EVERY_S", 0.1)
    path, said = tmp_path / "cache", list[str]()

    def wait() -> None:
        with store.lock(path, what="cache x", waiting=said.append):
            said.append("won")

    waiter = threading.Thread(target=wait)
    with held_by_a_child(path) as process:
        waiter.start()
        while len(said) < 1:
            time.sleep(0.01)
        process.send_signal(signal.SIGSTOP)
        end = time.monotonic() + WAIT_S
        while len(said) < 2 and time.monotonic() < end:
            time.sleep(0.01)
        hint = f"which is stopped; kill -CONT {process.pid} lets it go on"
        assert hint not in said[0] and said[1].endswith(hint)
        assert f"process {process.pid} on " in said[0] and " since " in said[0]
    waiter.join(WAIT_S)
    assert said[-1] == "won"


@pytest.mark.parametrize("left", [b"", b"x" * 5000, b"\xff\x1b[2J 1", b"1 a b c\n"])
def test_a_lock_file_that_says_nothing_of_use_is_as_good_a_lock(
    tmp_path: Path, left: bytes
) -> None:
    with held_by_a_child(tmp_path / "run"):
        (tmp_path / ".run.lock").write_bytes(left)
        assert refused(tmp_path / "run") == "run x is being worked on by another process"


def test_a_lock_says_nothing_of_a_holder_that_has_left(tmp_path: Path) -> None:
    with store.lock(tmp_path / "run", what="it"):
        assert f"process {os.getpid()} on " in locks.holder(tmp_path / ".run.lock")
    assert locks.holder(tmp_path / ".run.lock") == ""


def test_probing_a_lock_refuses_no_real_attempt(tmp_path: Path) -> None:
    path = tmp_path / "run"
    with store.lock(path, what="it"):
        pass
    code = "print(flush=True)\nwhile True: locks.is_busy(path)"
    probing = [child(code, path) for _ in range(2)]
    try:
        for process in probing:
            assert process.stdout is not None
            process.stdout.readline()
        for _ in range(200):
            with store.lock(path, what="it"):
                assert locks.is_busy(path)
    finally:
        for process in probing:
            process.kill()
            process.communicate(timeout=WAIT_S)


def test_what_is_not_locked_is_not_busy_and_a_look_leaves_no_file(tmp_path: Path) -> None:
    assert not locks.is_busy(tmp_path / "run") and not locks.is_busy(tmp_path / "no" / "run")
    assert list(tmp_path.iterdir()) == []


def test_a_lock_that_is_won_lists_the_folders_before_anything_is_believed(tmp_path: Path) -> None:
    # a network file system answers from memory until a folder is read anew
    (tmp_path / "run").mkdir()
    code = """
seen, won = [], False
sys.addaudithook(lambda event, args: seen.append(str(args[0])) if event == "os.listdir" else None)
with store.lock(path, what="it"):
    print(str(path.parent) in seen, str(path) in seen)
"""
    out, err = child(code, tmp_path / "run").communicate(timeout=WAIT_S)
    assert out == "True True\n", err


def test_a_lock_that_cannot_be_asked_counts_as_busy(tmp_path: Path) -> None:
    (tmp_path / ".run.lock").mkdir()
    assert locks.is_busy(tmp_path / "run")
    with pytest.raises(MachineError, match="cannot lock"), store.lock(tmp_path / "run", what="it"):
        pass
