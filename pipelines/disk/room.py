"""Room on the disk: errors that name what a file needs and what is free."""

import errno
import io
import os
import resource
import shutil
from pathlib import Path
from typing import Any

from pipelines.errors import MachineError

BLOCK = 512  # bytes, of st_blocks
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class NoRoomError(OSError):
    """The disk has no room for a file. needed: the bytes of the whole file."""

    def __init__(self, number: int, needed: int) -> None:
        super().__init__(number, os.strerror(number))
        self.needed = needed


def lacking(path: Path, half: Path, error: OSError) -> MachineError:
    """Return the error of an artefact that the disk has no room for.

    half: its part that is written; its bytes count as free, because it will be removed.
    """
    sizes = [f.stat() for f in (half, *half.rglob("*")) if f.is_file()]
    needed = f"more than {sum(size.st_size for size in sizes)}"
    if isinstance(error, NoRoomError):
        needed = str(error.needed)
    free = shutil.disk_usage(path.parent).free + sum(size.st_blocks * BLOCK for size in sizes)
    limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    most = "" if limit == resource.RLIM_INFINITY else f", a file may have {limit} (ulimit -f)"
    return MachineError(
        f"cannot write {path}: {error.strerror}: it needs {needed} bytes, {free} are free{most}",
        "free some space, or point AVSNN_HOME to a larger disk; the same command goes on from here",
    )


def require(path: Path, needed: int) -> None:
    """Raise NoRoomError if the disk has no room for a file of so many bytes, before it is begun."""
    limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    if needed > shutil.disk_usage(path.parent).free:
        raise NoRoomError(errno.ENOSPC, needed)
    if limit != resource.RLIM_INFINITY and needed > limit:
        raise NoRoomError(errno.EFBIG, needed)


def write(path: Path, content: bytes | memoryview) -> None:
    """Write a file. Raises NoRoomError if the disk has no room for it."""
    try:
        path.write_bytes(content)
    except OSError as error:
        if error.errno in FULL:
            raise NoRoomError(error.errno, memoryview(content).nbytes) from error
        raise


class Unfailing(io.FileIO):
    """A file for libraries that do not survive a failed write: HDF5 then crashes at its close.

    After the first failure nothing more is written, and only `check` raises it. needed: the bytes
    that are to be written, as far as known.
    """

    def __init__(self, path: Path, needed: int) -> None:
        super().__init__(path, "w+b")
        self.needed = needed
        self.failure: OSError | None = None

    def write(self, content: Any) -> int:
        """Write all of the content, or none after a failure; return its bytes in any case."""
        view = memoryview(content).cast("B")
        done = 0
        try:
            # the system may write less than asked, at a full disk the last time
            while done < len(view) and self.failure is None:
                done += super().write(view[done:])
        except OSError as error:
            self.failure = error
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        """Make the file longer or shorter; return the size that was asked for in any case."""
        try:
            return super().truncate(size)
        except OSError as error:
            self.failure = self.failure or error  # the first one has the cause
            return size or 0

    def check(self) -> None:
        """Raise OSError if something could not be written, NoRoomError for want of room."""
        if self.failure is None:
            return
        if self.failure.errno in FULL:
            raise NoRoomError(self.failure.errno, self.needed) from self.failure
        raise self.failure
