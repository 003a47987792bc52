"""An archive from outside to a folder, whole or not at all, with nothing in it trusted.

tar (plain or gzip) and zip, told apart by their first bytes. Only regular files come out; empty
folders are not made.
"""

import errno
import gzip
import hashlib
import io
import os
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

from pipelines import store
from pipelines.errors import DataError
from pipelines.sources.download import hash_file, sync

CHUNK_BYTES = 1 << 18
MAX_HEADER_BYTES = 1 << 20
MAX_GLOBAL_HEADERS = 64
MAX_DEPTH = 32
# A gzip member can expand 1032-fold; a skipped one costs only time, but not without end.
MAX_SKIPPED_RATIO = 200
BROKEN = (
    tarfile.TarError,
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    zlib.error,
    struct.error,
    EOFError,
    ValueError,
    LookupError,
    RuntimeError,
)


@dataclass(frozen=True)
class _Member:
    """One entry: its name as stored, what forbids it (or ""), and how to read it."""

    name: str
    fault: str
    is_folder: bool
    open: Callable[[], IO[bytes] | None]


def extract(
    archive: Path,
    destination: Path,
    *,
    max_bytes: int,
    max_files: int,
    strip: int = 0,
    only: str | None = None,
) -> int:
    """Unpack an archive into a new folder and return the number of files.

    max_bytes, max_files: bounds on what is written, counted as it is written. strip: leading path
    components to drop ("." is none). only: keep members whose stripped path starts with this.
    Files get mode 0644, folders 0755. On any failure nothing is left behind.
    Raises DataError for a broken or hostile archive and for a destination that exists,
    MachineError when the disk does not take it.
    """
    if destination.exists() or destination.is_symlink():
        raise DataError(f"{destination} exists already", "move it away to unpack it afresh")
    if not archive.is_file():
        raise DataError(f"{archive}: no such file", "avsnn download fetches it")
    with store.publish(destination) as folder:
        folder.mkdir()
        try:
            with _members(archive, max_bytes + (max_files << 12)) as members:
                count = _write_all(members, folder, max_bytes, max_files, strip, only)
        except BROKEN as error:
            raise _refusal(archive, f"not a whole tar, tar.gz or zip ({error})") from error
        except _HostileError as error:
            raise _refusal(archive, str(error)) from error
        except OSError as error:
            # A zip's directory that points before its beginning ends in a seek there.
            if error.errno == errno.EINVAL:
                raise _refusal(archive, "its directory points outside it") from error
            raise
        for path in [*folder.rglob("*"), folder]:
            path.chmod(0o755 if path.is_dir() else 0o644)
            if path.is_dir():
                sync(path)
    return count


def tree_sha256(folder: Path) -> str:
    """Return sha256 over the sorted lines "<relative posix path> <sha256>\\n" of a folder.

    Regular files only: links, devices and empty folders do not count.
    Raises DataError when a file cannot be read.
    """
    lines = [
        f"{path.relative_to(folder).as_posix()} {hash_file(path, 'sha256')}\n"
        for path in folder.rglob("*")
        if stat.S_ISREG(path.lstat().st_mode)
    ]
    return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()


class _HostileError(Exception):
    """The archive holds what an honest one does not, or more than declared."""


def _refusal(archive: Path, cause: str) -> DataError:
    return DataError(
        f"{archive}: {cause}", "nothing was unpacked; download it again or take another copy"
    )


def _write_all(
    members: Iterator[_Member],
    folder: Path,
    max_bytes: int,
    max_files: int,
    strip: int,
    only: str | None,
) -> int:
    count, room = 0, max_bytes
    for member in members:
        parts = _safe_parts(member.name)[strip:]
        if not parts or not "/".join(parts).startswith(only or ""):
            continue
        if member.fault:
            raise _HostileError(f"{member.name!r} is {member.fault}")
        if member.is_folder:
            continue
        if count == max_files:
            raise _HostileError(f"holds more than the {max_files} files declared")
        room -= _write(member, folder.joinpath(*parts), room, max_bytes)
        count += 1
    if not count:
        raise _HostileError(f"holds no file below {only!r}" if only else "holds no file")
    return count


def _write(member: _Member, path: Path, room: int, max_bytes: int) -> int:
    written = 0
    source = member.open()
    if source is None:
        raise _HostileError(f"{member.name!r} has no content")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        target = path.open("xb")
    except (FileExistsError, NotADirectoryError) as error:
        raise _HostileError(f"{member.name!r} stands in it twice") from error
    with source, target:
        while chunk := source.read(CHUNK_BYTES):
            written += len(chunk)
            if written > room:
                raise _HostileError(f"holds more than the {max_bytes} bytes declared")
            target.write(chunk)
    return written


def _safe_parts(name: str) -> list[str]:
    """Split a member's name, refusing every one that could leave the folder or hide."""
    if (
        name.startswith("/")
        or re.match("[A-Za-z]:", name)
        or re.search(r"[\x00-\x1f\x7f\\\ud800-\udfff]", name)
    ):
        raise _HostileError(f"{name[:200]!r} is not a relative path in plain UTF-8")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts or len(parts) > MAX_DEPTH or any(len(part.encode()) > 255 for part in parts):
        raise _HostileError(f"{name[:200]!r} leads out of the folder or too deep")
    return parts


@contextmanager
def _members(archive: Path, stream_bytes: int) -> Iterator[Iterator[_Member]]:
    with archive.open("rb") as file:
        magic = file.read(4)
        file.seek(0)
        if magic in (b"PK\x03\x04", b"PK\x05\x06"):
            with zipfile.ZipFile(file) as opened:
                yield _zip_members(opened)
            return
        size = archive.stat().st_size
        stream_bytes += MAX_SKIPPED_RATIO * size
        if magic.startswith(b"\x1f\x8b"):
            with gzip.open(file) as unzipped:
                yield _tar_members(_Forward(unzipped, stream_bytes))
        else:
            yield _tar_members(_Forward(file, stream_bytes))


def _zip_members(archive: zipfile.ZipFile) -> Iterator[_Member]:
    for info in archive.infolist():
        # The upper half holds the Unix mode; most DOS-made archives leave it zero.
        kind = stat.S_IFMT(info.external_attr >> 16)
        fault = ""
        if info.flag_bits & 0x41:
            fault = "encrypted"
        elif kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            fault = "a link or a device"
        elif info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            fault = f"compressed by method {info.compress_type}, which is not deflate"
        # orig_filename: zipfile cuts the other at a NUL and turns backslashes on Windows.
        yield _Member(info.orig_filename, fault, info.is_dir(), partial(archive.open, info))


def _tar_members(stream: "_Forward") -> Iterator[_Member]:
    with tarfile.open(fileobj=stream, mode="r:") as archive:
        while (info := archive.next()) is not None:
            plain = info.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and info.sparse is None
            fault = "" if plain or info.isdir() else "a link, a device or a sparse file"
            yield _Member(info.name, fault, info.isdir(), partial(archive.extractfile, info))
            # The list that tarfile keeps would grow with every skipped member.
            archive.members.clear()  # type: ignore[attr-defined]
            if len(archive.pax_headers) > MAX_GLOBAL_HEADERS:
                raise _HostileError("holds too many global headers")
    # tarfile takes a damaged or missing header for the end: only a block of zeros is one.
    if stream.last != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError("no mark at its end")
    # The checksum of gzip stands behind the last byte.
    while stream.read(CHUNK_BYTES):
        pass


class _Forward(io.RawIOBase):
    """A tar's bytes read from front to back, each read and their sum bounded.

    tarfile reads extended headers at the size they claim and seeks where a header sends it.
    """

    def __init__(self, source: IO[bytes] | gzip.GzipFile, limit: int) -> None:
        self._source, self._limit, self._position = source, limit, 0
        self.last = b""

    def tell(self) -> int:
        """Return the bytes read so far."""
        return self._position

    def read(self, size: int = -1) -> bytes:
        """Read the next bytes, fewer only at the end."""
        if not 0 <= size <= MAX_HEADER_BYTES:
            raise _HostileError(f"a header claims {size} bytes")
        self.last = self._source.read(size)
        self._position += len(self.last)
        if self._position > self._limit:
            raise _HostileError("expands to far more than declared")
        return self.last

    def seek(self, position: int, whence: int = os.SEEK_SET) -> int:
        """Skip forward to an absolute position."""
        if whence != os.SEEK_SET or position < self._position:
            raise _HostileError("a header points backwards")
        while self._position < position:
            if not self.read(min(CHUNK_BYTES, position - self._position)):
                raise EOFError("ends inside a file")
        return position
