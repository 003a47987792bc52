"""Unpack an archive into a folder, whole or not at all; nothing in the archive is trusted.

tar (plain or gzip) and zip (whole or split) are distinguished by their first bytes. Only regular
files are unpacked; empty folders are not made.
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
# what Python's readers raise for bytes that are damaged, or were made to harm them
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


class _Selection:
    """The members that are unpacked, and the bounds on their number and bytes."""

    def __init__(
        self, max_bytes: int, max_files: int, folder: str, keep: Container[str] | None
    ) -> None:
        self.max_bytes, self.max_files = max_bytes, max_files
        self.folder, self.keep = folder, keep
        self._above: list[str] | None = None if folder else []
        self.tops: set[str] = set()

    def path(self, name: str) -> list[str]:
        """Return a member's path relative to the destination; [] if it is not unpacked."""
        parts = safe_parts(name)
        if len(self.tops) < SHOWN_NAMES:
            self.tops.update(parts[:1])
        if self._above is None:
            self._above = self._above_folder(parts)
        if self._above is None or parts[: len(self._above)] != self._above:
            return []
        below = parts[len(self._above) :]
        return below if self.keep is None or "/".join(below) in self.keep else []

    def _above_folder(self, parts: list[str]) -> list[str] | None:
        """Return the path of the selected folder if a member lies in it, else None."""
        above = self.folder.split("/")
        # forges pack everything below one folder of their own, whose name has the version
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
    written, counted as it is written. folder: the folder whose content is unpacked; it stands at
    the top or, as forges pack, below one other. keep: the paths below it that are unpacked; None is
    all.
    Files get mode 0644, folders 0755. On any failure nothing is left behind.
    Raises DataError for a broken or hostile archive and for a destination that exists,
    MachineError when the disk does not take it.
    """
    parts = [archive] if isinstance(archive, Path) else list(archive)
    selection = _Selection(max_bytes, max_files, folder, keep)
    if destination.exists() or destination.is_symlink():
        raise DataError(f"{destination} exists already", "move it away to unpack it afresh")
    for part in parts:
        if not part.is_file():
            raise DataError(f"{part}: no such file", "avsnn download fetches it")
    with store.publish(destination) as unpacked:
        unpacked.mkdir()
        try:
            # 4 KiB for the headers of each file
            with members(parts, max_bytes + (max_files << 12)) as archived:
                count = _write_all(archived, unpacked, selection)
        except BROKEN as error:
            raise _refusal(parts, f"not a whole tar, tar.gz or zip ({error})") from error
        except HostileError as error:
            raise _refusal(parts, str(error)) from error
        except OSError as error:
            # A zip's directory that points before its beginning ends in a seek there.
            if error.errno == errno.EINVAL:
                raise _refusal(parts, "its directory points outside it") from error
            raise
        # an archive's own modes could make files executable, or unreadable for the user
        for path in [*unpacked.rglob("*"), unpacked]:
            path.chmod(0o755 if path.is_dir() else 0o644)
    return count


def _refusal(parts: Sequence[Path], cause: str) -> DataError:
    return DataError(
        f"{parts[-1]}: {cause}", "nothing was unpacked; download it again or take another copy"
    )


def _write_all(archived: Iterator[Member], folder: Path, selection: _Selection) -> int:
    count, room = 0, selection.max_bytes
    for member in archived:
        path = selection.path(member.name)
        if not path:
            continue
        if member.objection:
            raise HostileError(f"{member.name!r} is {member.objection}")
        if member.is_folder:
            continue
        if count == selection.max_files:
            raise HostileError(f"holds more than the {selection.max_files} files declared")
        room -= _write(member, folder.joinpath(*path), room, selection.max_bytes)
        count += 1
    if not count:
        tops = ", ".join(sorted(map(repr, selection.tops))[:SHOWN_NAMES])
        raise HostileError(f"holds no file below {selection.folder!r}, only {tops or 'nothing'}")
    return count


def _write(member: Member, path: Path, room: int, max_bytes: int) -> int:
    written = 0
    source = member.open()
    if source is None:
        raise HostileError(f"{member.name!r} has no content")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # "x": the second of two members of one name must not overwrite the first
        target = path.open("xb")
    except (FileExistsError, NotADirectoryError) as error:
        raise HostileError(f"{member.name!r} stands in it twice") from error
    with source, target:
        while chunk := source.read(CHUNK_BYTES):
            # counted as it comes: the size in a header may be a lie
            written += len(chunk)
            if written > room:
                raise HostileError(f"holds more than the {max_bytes} bytes declared")
            target.write(chunk)
    return written
