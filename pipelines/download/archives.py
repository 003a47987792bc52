"""An archive from outside to a folder, whole or not at all, with nothing in it trusted.

tar (plain or gzip) and zip (whole or split), told apart by their first bytes. Only regular files
come out; empty folders are not made.
"""

import errno
import gzip
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Container, Iterator, Sequence
from pathlib import Path

from pipelines.disk import store
from pipelines.download.archive_members import (
    CHUNK_BYTES,
    HostileError,
    Member,
    members,
    safe_parts,
)
from pipelines.errors import DataError

SHOWN_NAMES = 5
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


class _Wanted:
    """Which members come out, and how much of them at most."""

    def __init__(
        self, max_bytes: int, max_files: int, folder: str, keep: Container[str] | None
    ) -> None:
        self.max_bytes, self.max_files = max_bytes, max_files
        self.folder, self.keep = folder, keep
        self._above: list[str] | None = None if folder else []
        self.tops: set[str] = set()

    def path(self, name: str) -> list[str]:
        """Return where a member goes, relative to the destination; [] if it does not come out."""
        parts = safe_parts(name)
        if len(self.tops) < SHOWN_NAMES:
            self.tops.update(parts[:1])
        if self._above is None:
            self._above = self._found_in(parts)
        if self._above is None or parts[: len(self._above)] != self._above:
            return []
        below = parts[len(self._above) :]
        return below if self.keep is None or "/".join(below) in self.keep else []

    def _found_in(self, parts: list[str]) -> list[str] | None:
        """Return what stands above the wanted folder with the folder itself, if it is there."""
        above = self.folder.split("/")
        for depth in (0, 1):
            if parts[depth : depth + len(above)] == above and len(parts) > depth + len(above):
                return parts[: depth + len(above)]
        return None


def extract(
    archive: Path | Sequence[Path],
    destination: Path,
    *,
    max_bytes: int,
    max_files: int,
    folder: str = "",
    keep: Container[str] | None = None,
) -> int:
    """Unpack an archive into a new folder and return the number of files.

    archive: a file, or the parts of a split zip in order. max_bytes, max_files: bounds on what is
    written, counted as it is written. folder: the folder that is taken, without its own name; it
    stands at the top or, as forges pack, below one other. keep: the paths below it that come out;
    None is all.
    Files get mode 0644, folders 0755. On any failure nothing is left behind.
    Raises DataError for a broken or hostile archive and for a destination that exists,
    MachineError when the disk does not take it.
    """
    parts = [archive] if isinstance(archive, Path) else list(archive)
    wanted = _Wanted(max_bytes, max_files, folder, keep)
    if destination.exists() or destination.is_symlink():
        raise DataError(f"{destination} exists already", "move it away to unpack it afresh")
    for part in parts:
        if not part.is_file():
            raise DataError(f"{part}: no such file", "avsnn download fetches it")
    with store.publish(destination) as unpacked:
        unpacked.mkdir()
        try:
            with members(parts, max_bytes + (max_files << 12)) as found:
                count = _write_all(found, unpacked, wanted)
        except BROKEN as error:
            raise _refusal(parts, f"not a whole tar, tar.gz or zip ({error})") from error
        except HostileError as error:
            raise _refusal(parts, str(error)) from error
        except OSError as error:
            # A zip's directory that points before its beginning ends in a seek there.
            if error.errno == errno.EINVAL:
                raise _refusal(parts, "its directory points outside it") from error
            raise
        for path in [*unpacked.rglob("*"), unpacked]:
            path.chmod(0o755 if path.is_dir() else 0o644)
    return count


def _refusal(parts: Sequence[Path], cause: str) -> DataError:
    return DataError(
        f"{parts[-1]}: {cause}", "nothing was unpacked; download it again or take another copy"
    )


def _write_all(found: Iterator[Member], folder: Path, wanted: _Wanted) -> int:
    count, room = 0, wanted.max_bytes
    for member in found:
        path = wanted.path(member.name)
        if not path:
            continue
        if member.fault:
            raise HostileError(f"{member.name!r} is {member.fault}")
        if member.is_folder:
            continue
        if count == wanted.max_files:
            raise HostileError(f"holds more than the {wanted.max_files} files declared")
        room -= _write(member, folder.joinpath(*path), room, wanted.max_bytes)
        count += 1
    if not count:
        tops = ", ".join(sorted(map(repr, wanted.tops))[:SHOWN_NAMES])
        raise HostileError(f"holds no file below {wanted.folder!r}, only {tops or 'nothing'}")
    return count


def _write(member: Member, path: Path, room: int, max_bytes: int) -> int:
    written = 0
    source = member.open()
    if source is None:
        raise HostileError(f"{member.name!r} has no content")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        target = path.open("xb")
    except (FileExistsError, NotADirectoryError) as error:
        raise HostileError(f"{member.name!r} stands in it twice") from error
    with source, target:
        while chunk := source.read(CHUNK_BYTES):
            written += len(chunk)
            if written > room:
                raise HostileError(f"holds more than the {max_bytes} bytes declared")
            target.write(chunk)
    return written
