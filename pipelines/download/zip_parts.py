"""A split zip (`name.z01`, …, `name.zip`) read as one file, which Python's zipfile can open.

The parts are chained as they are, with nothing copied; only the directory at the end is written
anew, in memory: a split zip counts offsets from the beginning of a part, a whole one from the
beginning of the file (PKWARE APPNOTE 4.4.11 to 4.4.16, 4.4.24, 4.5.3).
"""

import errno
import io
import os
import struct
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import accumulate, pairwise
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple
from zipfile import BadZipFile

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MAX_PARTS = 1000
MAX_DIRECTORY_BYTES = 256 << 20
END = struct.Struct("<4s4H2IH")
END_64 = struct.Struct("<4sQ2H2I4Q")
LOCATOR_64 = struct.Struct("<4sIQI")
ENTRY = struct.Struct("<4s6H3I5H2I")
# the value of a narrow field whose number stands in the 64-bit block
FULL_16, FULL_32 = 0xFFFF, 0xFFFFFFFF
ZIP64_EXTRA = 1


class _Directory(NamedTuple):
    """The list of files: the last part's number, the part and offset where it begins, its bytes."""

    last_disk: int
    disk: int
    offset: int
    size: int


@contextmanager
def open_joined(parts: Sequence[Path]) -> Iterator[IO[bytes]]:
    """Open the parts of a split zip, in order, as one seekable file.

    Parts that were cut without regard to the format (`name.zip.001`, …) are only chained.
    Raises BadZipFile, or struct.error, where they do not make up one zip.
    """
    if not 1 <= len(parts) <= MAX_PARTS:
        raise BadZipFile(f"{len(parts)} parts")
    with ExitStack() as stack:
        files: list[IO[bytes]] = [stack.enter_context(part.open("rb")) for part in parts]
        sizes = [os.fstat(file.fileno()).st_size for file in files]
        starts = [0, *accumulate(sizes)]
        whole = _Chain(list(zip(files, sizes, strict=True)))
        directory = _find_directory(whole, starts)
        if directory.last_disk == 0:
            yield io.BufferedReader(whole)
            return
        if directory.last_disk + 1 != len(parts):
            raise BadZipFile(f"has {directory.last_disk + 1} parts, of which {len(parts)} are here")
        begin = _absolute(starts, directory.disk, directory.offset)
        # checked before it is read: the number comes from the file
        if directory.size > MAX_DIRECTORY_BYTES or begin + directory.size > starts[-1]:
            raise BadZipFile(f"a directory of {directory.size} bytes at {begin}")
        entries = [
            _moved(entry, starts, begin) for entry in _entries(_at(whole, begin, directory.size))
        ]
        tail = _directory_at(begin, entries)
        kept = [
            (file, max(0, min(size, begin - start)))
            for file, size, start in zip(files, sizes, starts, strict=False)
        ]
        yield io.BufferedReader(_Chain([*kept, (io.BytesIO(tail), len(tail))]))


class _Chain(io.RawIOBase):
    """Files read one after the other as if they were one; of each only so many first bytes."""

    def __init__(self, pieces: Sequence[tuple[IO[bytes], int]]) -> None:
        self._pieces = pieces
        self._starts = [0, *accumulate(size for _, size in pieces)]
        self._position = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a position, which may lie behind the end but not before the beginning."""
        position = offset + (0, self._position, self._starts[-1])[whence]
        if position < 0:
            raise OSError(errno.EINVAL, "before the beginning")
        self._position = position
        return position

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Read what is left of one piece, at most as much as the buffer takes."""
        view = memoryview(buffer).cast("B")
        index = bisect_right(self._starts, self._position) - 1
        if index >= len(self._pieces):
            return 0
        file, size = self._pieces[index]
        within = self._position - self._starts[index]
        file.seek(within)
        content = file.read(min(len(view), size - within))
        view[: len(content)] = content
        self._position += len(content)
        return len(content)


def _at(file: _Chain, position: int, count: int) -> bytes:
    """Read exactly so many bytes at a position."""
    file.seek(position)
    content = bytearray()
    # one read ends where a part does
    while len(content) < count and (more := file.read(count - len(content))):
        content += more
    if len(content) < count:
        raise BadZipFile(f"ends inside its directory, at {position + len(content)}")
    return bytes(content)


def _absolute(starts: Sequence[int], disk: int, offset: int) -> int:
    if disk >= len(starts) - 1:
        raise BadZipFile(f"refers to part {disk + 1}, of which {len(starts) - 1} are here")
    return starts[disk] + offset


def _find_directory(file: _Chain, starts: Sequence[int]) -> _Directory:
    """Read the record at the end, or the 64-bit one in its place (APPNOTE 4.3.14 to 4.3.16)."""
    size = starts[-1]
    room = min(size, END.size + FULL_16)
    # a comment of up to 65535 bytes may stand behind the record: the last signature is taken
    last = _at(file, size - room, room)
    place = last.rfind(b"PK\5\6", 0, max(0, room - END.size) + 4)
    if place < 0:
        raise BadZipFile("no directory at its end: the last part is not here or not whole")
    _, last_disk, disk, _, _, count, offset, _ = END.unpack_from(last, place)
    end = size - room + place
    locator = _at(file, end - LOCATOR_64.size, LOCATOR_64.size) if end >= LOCATOR_64.size else b""
    if locator.startswith(b"PK\6\7"):
        _, disk_64, offset_64, _ = LOCATOR_64.unpack(locator)
        record = _at(file, _absolute(starts, disk_64, offset_64), END_64.size)
        if not record.startswith(b"PK\6\6"):
            raise BadZipFile("no 64-bit directory where it should be")
        _, _, _, _, last_disk, disk, _, _, count, offset = END_64.unpack(record)
    return _Directory(last_disk, disk, offset, count)


def _entries(directory: bytes) -> Iterator[tuple[tuple[int, ...], bytes, bytes, bytes]]:
    """Yield a directory's entries: the fixed fields behind the signature, name, extra, comment."""
    place = 0
    while place < len(directory):
        signature, *fields = ENTRY.unpack_from(directory, place)
        lengths = fields[9:12]
        begin = place + ENTRY.size
        ends = list(accumulate(lengths, initial=begin))
        if signature != b"PK\1\2" or ends[-1] > len(directory):
            raise BadZipFile(f"damaged directory at its byte {place}")
        texts = [directory[a:b] for a, b in pairwise(ends)]
        yield tuple(fields), texts[0], texts[1], texts[2]
        place = ends[-1]


def _moved(
    entry: tuple[tuple[int, ...], bytes, bytes, bytes], starts: Sequence[int], end: int
) -> bytes:
    """Return an entry of the directory as it is in a whole zip, with offsets from its beginning."""
    fields, name, extra, comment = entry
    *kept, packed, plain, _, _, _, disk, inner, outer, offset = fields
    wide, extra = _without_zip64(extra)
    # in this order, and only those that do not fit (APPNOTE 4.5.3)
    numbers = io.BytesIO(wide)
    plain = _wide(numbers, plain, "<Q", FULL_32)
    packed = _wide(numbers, packed, "<Q", FULL_32)
    offset = _wide(numbers, offset, "<Q", FULL_32)
    disk = _wide(numbers, disk, "<I", FULL_16)
    place = _absolute(starts, disk, offset)
    if place >= end:
        raise BadZipFile(f"a file at {place}, behind the directory")
    large = [number for number in (plain, packed, place) if number >= FULL_32]
    if large:
        extra += struct.pack(f"<2H{len(large)}Q", ZIP64_EXTRA, 8 * len(large), *large)
    fixed = ENTRY.pack(
        b"PK\1\2",
        *kept,
        min(packed, FULL_32),
        min(plain, FULL_32),
        len(name),
        len(extra),
        len(comment),
        0,  # the part it begins in
        inner,
        outer,
        min(place, FULL_32),
    )
    return fixed + name + extra + comment


def _wide(numbers: IO[bytes], value: int, form: str, full: int) -> int:
    """Return the next number of the 64-bit block where the narrow field is full, else the field."""
    if value != full:
        return value
    return int(struct.unpack(form, numbers.read(struct.calcsize(form)))[0])


def _without_zip64(extra: bytes) -> tuple[bytes, bytes]:
    """Return the content of an extra field's 64-bit block, and the rest of the field."""
    wide, rest, place = b"", b"", 0
    while place + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, place)
        block = extra[place : place + 4 + length]
        if kind == ZIP64_EXTRA:
            wide = block[4:]
        else:
            rest += block
        place += 4 + length
    return wide, rest


def _directory_at(begin: int, entries: Sequence[bytes]) -> bytes:
    """Return a directory of these entries, with the records that end a zip, 64-bit where needed."""
    directory = b"".join(entries)
    count, size = len(entries), len(directory)
    end = b""
    if count >= FULL_16 or max(begin, size) >= FULL_32:
        end = END_64.pack(b"PK\6\6", END_64.size - 12, 45, 45, 0, 0, count, count, size, begin)
        end += LOCATOR_64.pack(b"PK\6\7", 0, begin + size, 1)
    count, size, begin = min(count, FULL_16), min(size, FULL_32), min(begin, FULL_32)
    return directory + end + END.pack(b"PK\5\6", 0, 0, count, count, size, begin, 0)
