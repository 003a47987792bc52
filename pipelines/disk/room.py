"""Room on the disk: what a file needs and what is free, said where the two do not fit."""

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
HINT = "free some space, or point AVSNN_HOME to a larger disk; the same command goes on from here"


class NoRoomError(OSError):
    """A write that there is no room for. needed: the bytes of the whole file."""

    def __init__(self, number: int, needed: int) -> None:
        super().__init__(number, os.strerror(number))
        self.needed = needed


def lacking(path: Path, half: Path, error: OSError) -> MachineError:
    """Return the error of an artefact that there is no room for.

    half: what is written of it, whose bytes count as free.
    """
    written = [f.stat() for f in (half, *half.rglob("*")) if f.is_file()]
    needed = f"more than {sum(found.st_size for found in written)}"
    if isinstance(error, NoRoomError):
        needed = str(error.needed)
    free = shutil.disk_usage(path.parent).free + sum(found.st_blocks * BLOCK for found in written)
    limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    most = "" if limit == resource.RLIM_INFINITY else f", a file may have {limit} (ulimit -f)"
    return MachineError(
        f"cannot write {path}: {error.strerror}: it needs {needed} bytes, {free} are free{most}",
        HINT,
    )


def require(path: Path, needed: int) -> None:
    """Raise NoRoomError if there is no room for a file of so many bytes, before it is begun."""
    limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    if needed > shutil.disk_usage(path.parent).free:
        raise NoRoomError(errno.ENOSPC, needed)
    if limit != resource.RLIM_INFINITY and needed > limit:
        raise NoRoomError(errno.EFBIG, needed)


def write(path: Path, content: bytes | memoryview) -> None:
    """Write a file. Raises NoRoomError if there is no room for it."""
    try:
        path.write_bytes(content)
    except OSError as error:
        if error.errno in FULL:
            raise NoRoomError(error.errno, memoryview(content).nbytes) from error
        raise


class Unfailing(io.FileIO):
    """A file for libraries that do not survive a failed write: HDF5 then crashes at its close.

    After the first failure nothing more is written, and only `check` says it. needed: the bytes
    that are to be written, as far as known.
    """

    def __init__(self, path: Path, needed: int) -> None:
        super().__init__(path, "w+b")
        self.needed = needed
        self.fault: OSError | None = None

    def write(self, content: Any) -> int:
        """Write all of it."""
        view = memoryview(content).cast("B")
        done = 0
        try:
            while done < len(view) and self.fault is None:
                done += super().write(view[done:])
        except OSError as error:
            self.fault = error
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        """Make the file longer or shorter."""
        try:
            return super().truncate(size)
        except OSError as error:
            self.fault = self.fault or error
            return size or 0

    def check(self) -> None:
        """Raise OSError if something could not be written, NoRoomError for want of room."""
        if self.fault is None:
            return
        if self.fault.errno in FULL:
            raise NoRoomError(self.fault.errno, self.needed) from self.fault
        raise self.fault
