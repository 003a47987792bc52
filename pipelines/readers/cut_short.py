"""Check whether a film's file ends before its own structure does; nothing is decoded.

FFmpeg shows what is left of a film that was cut, without an error. Each container is a row of
units with their lengths: where the last one reaches beyond the end of the file, the file was cut.
This does not detect a file that was cut just between two units, or any other damage.
"""

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

MAX_UNITS = 10_000_000  # an MPEG film of 20 GB has as many packets of 2 KiB
EBML, SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"

# a unit's reader returns where the next one begins, or None where that is not known
Step = Callable[[BinaryIO, int], int | None]


def ends_early(path: Path) -> bool:
    """Return whether an AVI, MP4, MOV, FLV, Matroska, WebM or MPEG file was cut within a unit."""
    with path.open("rb") as file:
        end = file.seek(0, 2)
        file.seek(0)
        head = file.read(12)
        step, place = _kind(head)
        if step is None:
            return False
        # bounded: a hostile file may have a unit of no length, which leads back to itself
        for _ in range(MAX_UNITS):
            if place >= end:
                return place > end
            file.seek(place)
            following = step(file, end)
            if following is None:
                return False
            place = following
    return False


def _kind(head: bytes) -> tuple[Step | None, int]:
    """Return what reads the units of a container, and where the first one begins."""
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return _riff, 0
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
        return _box, 0
    if head[:3] == b"FLV":
        # after the header, the length of the tag before the first, which is none
        return _flv_tag, int.from_bytes(head[5:9], "big") + 4
    if head[:4] == EBML:
        return _element, 0
    if head[:4] == b"\0\0\1\xba":
        return _mpeg_packet, 0
    return None, 0


def _riff(file: BinaryIO, end: int) -> int | None:
    """Read a list of AVI; a file above 1 GiB has several, one after the other."""
    start, head = file.tell(), file.read(8)
    if len(head) < 8 or head[:4] != b"RIFF":
        return None
    size = int.from_bytes(head[4:], "little")
    # some writers leave the padding byte out: such a file ends a byte early and is whole
    following = start + 8 + size + size % 2
    return end if following == end + 1 else following


def _box(file: BinaryIO, end: int) -> int | None:
    """Read a box of MP4 and MOV: size, type; size 1: a long size follows, 0: to the end."""
    start, head = file.tell(), file.read(16)
    if len(head) < 8 or not head[4:8].isalnum():
        return None
    size = int.from_bytes(head[:4], "big")
    if size == 1:
        size = int.from_bytes(head[8:16], "big")
    return end if size == 0 else start + size if size >= 8 else None


def _flv_tag(file: BinaryIO, _end: int) -> int | None:
    """Read a tag of FLV: 11 bytes of head, data, and 4 bytes with the length of both."""
    start, head = file.tell(), file.read(11)
    if head[:1] not in (b"\x08", b"\x09", b"\x12"):
        return None
    return start + 11 + int.from_bytes(head[1:4], "big") + 4


def _element(file: BinaryIO, end: int) -> int | None:
    """Read a top element of Matroska or WebM: the head, or a segment, perhaps of unknown length."""
    start, head = file.tell(), file.read(12)
    if head[:4] not in (EBML, SEGMENT) or len(head) < 5 or not head[4]:
        return None
    length = (
        9 - head[4].bit_length()
    )  # leading zero bits of the first byte count the bytes that follow
    number = int.from_bytes(head[4 : 4 + length], "big") & ((1 << 7 * length) - 1)
    # all ones is "unknown", as a live stream has it: nothing to hold the file against
    return end if number == (1 << 7 * length) - 1 else start + 4 + length + number


def _mpeg_packet(file: BinaryIO, _end: int) -> int | None:
    """Read a pack's head, or a packet, of an MPEG program stream; the end code ends it."""
    start, head = file.tell(), file.read(14)
    if len(head) < 14 and head[:4] != b"\0\0\1\xb9":  # nothing but the end code is so short
        return start + 14 if head.startswith(b"\0\0\1"[: len(head)]) else None
    if head[:3] != b"\0\0\1" or head[3] < 0xB9:
        return None
    if head[3] == 0xB9:
        return start + 4
    if head[3] == 0xBA:
        return start + (14 + (head[13] & 7) if head[4] >> 6 == 1 else 12)
    return start + 6 + int.from_bytes(head[4:6], "big")
