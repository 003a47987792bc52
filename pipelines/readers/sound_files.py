"""Open sound files for reading, after comparing their chunks with the length of the file.

libsndfile reads a WAV or AIFF file that was cut short without an error, and takes a data size of 0,
which a writer that cannot seek back leaves behind, for no samples.
"""

import mmap
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple

import soundfile

from pipelines.errors import DataError
from pipelines.readers.hints import REPLACE_CLIP
from pipelines.readers.notices import notice

MAX_CHUNKS = 1000
# a writer that cannot seek back leaves a number near the largest of 31 or 32 bits; a file that
# really holds so much is never read
UNKNOWN_SIZE = 0x7FFF_F000


class Samples(NamedTuple):
    """A file's samples: where they begin, how many bytes are declared, and where the file ends."""

    start: int
    size: int
    end: int

    @property
    def is_cut_short(self) -> bool:
        """Return whether the file ends before its samples do."""
        return self.size < UNKNOWN_SIZE and self.start + self.size > self.end


def open_sound(path: Path) -> soundfile.SoundFile:
    """Open a sound file; one whose header has no length, as streams leave it, is read to its end.

    Raises DataError if the file is cut short, and whatever soundfile raises if it is no sound.
    """
    if is_cut_short(path):
        raise DataError(f"{path}: cut short, its header declares more samples", REPLACE_CLIP)
    with path.open("rb") as file:
        samples = find_samples(file)
        if samples is None or not _is_streamed(file, samples):
            return soundfile.SoundFile(path)
        notice("its header has no length: read to the end of the file")
        if samples.size:  # libsndfile reads such a one to its end
            return soundfile.SoundFile(path)
        # libsndfile must see a length: it is put into a private mapping, not into the file
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    content[4:8] = min(samples.end - 8, 0xFFFFFFFF).to_bytes(4, "little")
    length = min(samples.end - samples.start, 0xFFFFFFFF)
    content[samples.start - 4 : samples.start] = length.to_bytes(4, "little")
    return soundfile.SoundFile(content)


def is_cut_short(path: Path) -> bool:
    """Return whether a RIFF, RF64 or AIFF file ends before its samples do."""
    with path.open("rb") as file:
        samples = find_samples(file)
    return samples is not None and samples.is_cut_short


def find_samples(file: BinaryIO) -> Samples | None:
    """Return the samples of a RIFF, RF64 or AIFF file by its chunks; None if there are none."""
    end = file.seek(0, 2)
    file.seek(0)
    head = file.read(12)
    order: Literal["little", "big"]
    if head[:4] in (b"RIFF", b"RF64") and head[8:] == b"WAVE":
        name, order = b"data", "little"
    elif head[:4] == b"FORM" and head[8:] in (b"AIFF", b"AIFC"):
        name, order = b"SSND", "big"
    else:
        return None
    long_size = None
    for _ in range(MAX_CHUNKS):
        chunk = file.read(8)
        if len(chunk) < 8:
            break
        size = int.from_bytes(chunk[4:], order)
        start = file.tell()
        # RF64 keeps its lengths in 64 bits here: RIFF's size, then that of the samples
        if chunk[:4] == b"ds64" and head[:4] == b"RF64":
            long_size = int.from_bytes(file.read(16)[8:], "little")
        if chunk[:4] == name:
            return Samples(start, size if long_size is None else long_size, end)
        file.seek(start + size + size % 2)  # chunks begin at even places
    return None


def _is_streamed(file: BinaryIO, samples: Samples) -> bool:
    """Return whether the length in a header is a placeholder that a stream never replaced."""
    file.seek(0)
    if file.read(4) != b"RIFF":
        return False
    if samples.size >= UNKNOWN_SIZE:
        return True
    return samples.size == 0 and samples.start < samples.end and not _chunks_follow(file, samples)


def _chunks_follow(file: BinaryIO, samples: Samples) -> bool:
    """Return whether other chunks follow, to the very end: then there are no samples."""
    place = samples.start
    for _ in range(MAX_CHUNKS):
        if place >= samples.end:
            return True
        file.seek(place)
        chunk = file.read(8)
        if len(chunk) < 8 or not chunk[:4].isascii() or not chunk[:4].decode().isprintable():
            return False
        size = int.from_bytes(chunk[4:], "little")
        place += 8 + size + size % 2
        # one byte beyond: the padding of a last chunk of odd size, which some writers leave out
        if place > samples.end + 1:
            return False
    return False
