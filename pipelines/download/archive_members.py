"""Read the members of a tar (plain or gzip) or a zip; nothing in them is trusted."""

import gzip
import io
import os
import re
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

from pipelines.download.zip_parts import open_joined

CHUNK_BYTES = 1 << 18
MAX_HEADER_BYTES = 1 << 20
MAX_GLOBAL_HEADERS = 64
MAX_DEPTH = 32
# gzip can expand 1032-fold; skipping a member costs only time, but that must end too
MAX_SKIPPED_RATIO = 200
# the last two are how a split zip begins
ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08", b"PK00")


class HostileError(Exception):
    """The archive holds what no sound one has, or more than the manifest declares."""


@dataclass(frozen=True)
class Member:
    """One entry: its name as stored, why it must not be unpacked ("" if it may), how to read it."""

    name: str
    objection: str
    is_folder: bool
    open: Callable[[], IO[bytes] | None]


def safe_parts(name: str) -> list[str]:
    """Split a member's name. Raises HostileError for one that could leave the folder or hide."""
    # control characters and lone surrogates would hide in a listing, a backslash or a drive letter
    # leads elsewhere on Windows
    if (
        name.startswith("/")
        or re.match("[A-Za-z]:", name)
        or re.search(r"[\x00-\x1f\x7f\\\ud800-\udfff]", name)
    ):
        raise HostileError(f"{name[:200]!r} is not a relative path in plain UTF-8")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts or len(parts) > MAX_DEPTH or any(len(part.encode()) > 255 for part in parts):
        raise HostileError(f"{name[:200]!r} leads out of the folder or too deep")
    return parts


@contextmanager
def members(parts: Sequence[Path], stream_bytes: int) -> Iterator[Iterator[Member]]:
    """Open an archive and yield its members; several files are the parts of one split zip.

    stream_bytes: the bytes that a tar may expand to, besides 200 times its own size.
    """
    with ExitStack() as stack:
        file = stack.enter_context(parts[0].open("rb"))
        magic = file.read(4)
        file.seek(0)
        if len(parts) > 1:
            joined = stack.enter_context(open_joined(parts))
            yield _zip_members(stack.enter_context(zipfile.ZipFile(joined)))
        elif magic in ZIP_MAGIC:
            yield _zip_members(stack.enter_context(zipfile.ZipFile(file)))
        else:
            stream_bytes += MAX_SKIPPED_RATIO * parts[0].stat().st_size
            if magic.startswith(b"\x1f\x8b"):
                unzipped = stack.enter_context(gzip.open(file))
                yield _tar_members(_Forward(unzipped, stream_bytes))
            else:
                yield _tar_members(_Forward(file, stream_bytes))


def _zip_members(archive: zipfile.ZipFile) -> Iterator[Member]:
    for info in archive.infolist():
        # The upper half holds the Unix mode; most DOS-made archives leave it zero.
        kind = stat.S_IFMT(info.external_attr >> 16)
        objection = ""
        if info.flag_bits & 0x41:  # encrypted, by the old method or the strong one
            objection = "encrypted"
        elif kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            objection = "a link or a device"
        elif info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            objection = f"compressed by method {info.compress_type}, which is not deflate"
        # orig_filename: zipfile cuts the other at a NUL and turns backslashes on Windows.
        yield Member(info.orig_filename, objection, info.is_dir(), partial(archive.open, info))


def _tar_members(stream: "_Forward") -> Iterator[Member]:
    with tarfile.open(fileobj=stream, mode="r:") as archive:
        while (info := archive.next()) is not None:
            plain = info.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and info.sparse is None
            objection = "" if plain or info.isdir() else "a link, a device or a sparse file"
            yield Member(info.name, objection, info.isdir(), partial(archive.extractfile, info))
            # The list that tarfile keeps would grow with every skipped member.
            archive.members.clear()  # type: ignore[attr-defined]
            if len(archive.pax_headers) > MAX_GLOBAL_HEADERS:
                raise HostileError("holds too many global headers")
    # tarfile takes a damaged or missing header for the end: only a block of zeros is one.
    if stream.last != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError("no mark at its end")
    # The checksum of gzip stands behind the last byte.
    while stream.read(CHUNK_BYTES):
        pass


class _Forward(io.RawIOBase):
    """A tar's bytes, read from front to back; each read and their sum are bounded.

    Needed because tarfile reads an extended header at the size that it claims, and seeks to
    wherever a header points.
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
            raise HostileError(f"a header claims {size} bytes")
        self.last = self._source.read(size)
        self._position += len(self.last)
        if self._position > self._limit:
            raise HostileError("expands to far more than declared")
        return self.last

    def seek(self, position: int, whence: int = os.SEEK_SET) -> int:
        """Skip forward to an absolute position."""
        if whence != os.SEEK_SET or position < self._position:
            raise HostileError("a header points backwards")
        while self._position < position:
            if not self.read(min(CHUNK_BYTES, position - self._position)):
                raise EOFError("ends inside a file")
        return position
