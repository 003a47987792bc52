"""Locks: one process at a time works on an artefact, and the others learn which and since when.

They are flocks: the system frees one when its holder dies, which it cannot do for a lock file.
"""

import contextlib
import errno
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import filelock

from pipelines.disk import temporary
from pipelines.errors import LockedError, MachineError

PATIENCE_S = 0.3  # `is_busy` holds a lock for an instant; that must not refuse a process its work
LOOK_EVERY_S = 30.0
NO_FLOCK = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP)
HOLDER = re.compile(
    r"(?P<pid>[0-9]{1,10}) (?P<host>[A-Za-z0-9-]{1,16}) (?P<place>[0-9a-f]{12}) "
    r"(?P<since>[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2})\n"
)


@contextlib.contextmanager
def hold(path: Path, *, what: str, waiting: Callable[[str], None] | None = None) -> Iterator[None]:
    """Hold the lock of an artefact within the block.

    waiting: called with one line when another process holds the lock, and again when the holder
    changes; then this waits. None: do not wait. Raises LockedError if the lock is held and waiting
    is None, MachineError where the file system has no locks.
    """
    file = _file(path)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        held = _lock(file)
        _acquire(held, file, what, waiting)
    except OSError as error:
        raise _refused(file, error) from error
    try:
        with contextlib.suppress(OSError):  # only for messages: the lock holds without it
            file.write_text(_this_process(), encoding="utf-8")
        _refresh_listing(path)
        yield
    finally:
        with contextlib.suppress(OSError):
            # emptied, not removed: a process that has opened the file would lock what no path names
            os.truncate(file, 0)
        held.release()


def _file(path: Path) -> Path:
    return path.with_name(f".{path.name}.lock")


def _lock(file: Path) -> filelock.BaseFileLock:
    # without flock the library would make files that a dead process on another host leaves for ever
    return filelock.FileLock(file, fallback_to_soft=False)


def _acquire(
    held: filelock.BaseFileLock, file: Path, what: str, waiting: Callable[[str], None] | None
) -> None:
    try:
        held.acquire(timeout=PATIENCE_S, poll_interval=PATIENCE_S / 20)
        return
    except filelock.Timeout:
        if waiting is None:
            raise LockedError(
                f"{what} is being worked on by another process{holder(file)}",
                "wait for it to finish, then run the same command again",
            ) from None
    announced = None
    while True:
        # the holder may change while this waits: then the line is out of date
        if (current := holder(file)) != announced:
            waiting(f"waiting for another process to finish {what}{current}")
            announced = current
        with contextlib.suppress(filelock.Timeout):
            held.acquire(timeout=LOOK_EVERY_S)
            return


def _refused(file: Path, error: OSError) -> MachineError:
    if error.errno in NO_FLOCK:
        return MachineError(
            f"cannot lock {file}: this file system has no locks (flock: {error.strerror})",
            "point AVSNN_HOME to a folder on one that has: a local disk, or Lustre with -o flock",
        )
    return MachineError(
        f"cannot lock {file}: {error.strerror}", "point AVSNN_HOME to a writable folder"
    )


def _refresh_listing(path: Path) -> None:
    """List the folders again: a network file system may remember that a new file is not there."""
    for folder in (path.parent, path):
        with contextlib.suppress(OSError):
            os.listdir(folder)  # noqa: PTH208 - all of it, at once


def _this_process() -> str:
    host, kernel, space = temporary.here()
    return f"{os.getpid()} {host} {kernel}{space} {time.strftime('%Y-%m-%d %H:%M:%S')}\n"


def holder(file: Path) -> str:
    """Describe the holder: ": process 4242 on node7 since 2026-01-31 12:00:00"; "" if unknown."""
    try:
        with file.open("rb") as opened:
            # bounded and matched whole: anyone may write to the file, and it goes to a terminal
            match = HOLDER.fullmatch(opened.read(200).decode())
    except (OSError, ValueError):
        return ""
    if match is None:
        return ""
    text = f": process {match['pid']} on {match['host']} since {match['since']}"
    _, kernel, space = temporary.here()
    # only here does the number name the same process
    if match["place"] == kernel + space and _is_stopped(int(match["pid"])):
        text += f", which is stopped; kill -CONT {match['pid']} lets it go on"
    return text


def _is_stopped(pid: int) -> bool:
    """Return whether a signal has stopped a process of this machine (proc(5), state T)."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    # the name in brackets may hold spaces and brackets itself: the state stands behind the last one
    return status.rpartition(")")[2].split()[:1] in (["T"], ["t"])


def is_busy(path: Path) -> bool:
    """Return whether a process holds the artefact's lock; True also where that is not known."""
    file = _file(path)
    if not file.exists():
        return False
    try:
        with _lock(file).acquire(timeout=0):
            return False
    except FileNotFoundError:
        return False
    except OSError:  # a Timeout is one too
        return True


def check(folder: Path) -> None:
    """Raise MachineError if a folder has no locks, or lets two processes hold one at once."""
    path = temporary.beside(folder / "locks")
    try:
        with hold(path, what="a probe"):
            if not is_busy(path):
                raise MachineError(
                    f"{folder}: two processes can hold the same lock at once",
                    "point AVSNN_HOME to a folder on a file system with locks",
                )
    finally:
        with contextlib.suppress(OSError):
            _file(path).unlink()
