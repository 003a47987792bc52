"""Decode MP3 files in full, with or without a frame count, by two decoders that have to agree.

Only a Xing, Info or VBRI frame at its beginning declares an MP3 file's length. Where there is none,
libsndfile guesses one from the first frames' bit rate: of a file with a variable rate it then reads
a part, without an error. FFmpeg reads to the end whatever is declared, and fills what is damaged.
"""

import io
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from pipelines.errors import DataError
from pipelines.readers.containers import opened

COUNTS = (b"Xing", b"Info", b"VBRI")
SEARCHED = 1500  # bytes: longer than the longest frame
MAX_BYTES = 1 << 26
# equal files differ by 2e-6 between the two decoders
TOLERANCE = 1e-3
DELAY = 529  # of every decoder; libsndfile leaves it out where there is a count and no LAME tag
DECODE_TO_WAV = "decode it to WAV with a tool of your own, or leave the clip out"


def read_mp3(path: Path) -> NDArray[np.float32]:
    """Decode an MP3 file in full: (channels, samples) float32, full scale at ±1.

    Raises DataError, naming the file, if the two decoders do not agree in length, channels or
    values, as for files that are cut short, damaged, or several in one.
    """
    from pipelines.readers.film_sound import read_sound  # here: it imports sound, and sound this

    if path.stat().st_size > MAX_BYTES:
        raise DataError(
            f"{path}: {path.stat().st_size} bytes of MP3, at most {MAX_BYTES}", DECODE_TO_WAV
        )
    content = path.read_bytes()
    in_full, _ = read_sound(path, "mp3")
    has_count = _has_count(content)
    with soundfile.SoundFile(path if has_count else io.BytesIO(_with_count(path, content))) as file:
        declared = int(file.frames)
        waveform: NDArray[np.float32] = file.read(dtype="float32", always_2d=True).T
    # of both decoders: what one of them fills or leaves out shows beside the other
    late = in_full.shape[1] - waveform.shape[1]
    if len(waveform) != len(in_full) or waveform.shape[1] != declared or late not in (0, DELAY):
        raise DataError(
            f"{path}: cut short or damaged: {declared} samples are declared, one decoder reads "
            f"{waveform.shape[1]}, another {in_full.shape[1]}",
            DECODE_TO_WAV,
        )
    if float(np.abs(waveform - in_full[:, late:]).max()) > TOLERANCE:
        raise DataError(f"{path}: damaged: two decoders do not agree on its samples", DECODE_TO_WAV)
    return np.ascontiguousarray(waveform) if has_count else in_full


def _has_count(content: bytes) -> bool:
    start = _first_frame(content)
    return any(name in content[start : start + SEARCHED] for name in COUNTS)


def _first_frame(content: bytes) -> int:
    """Return where the ID3v2 tag ends: ten bytes, and a size of four times seven bits."""
    if content[:3] != b"ID3" or len(content) < 10:
        return 0
    high, upper, lower, low = (byte & 0x7F for byte in content[6:10])
    return 10 + (high << 21 | upper << 14 | lower << 7 | low)


def _with_count(path: Path, content: bytes) -> bytes:
    """Put a Xing frame with the number of frames before an MP3 file that has none.

    It has the first frame's header and length and no sound; the count stands behind the side
    information, whose length depends on version and channels. Source: the Xing header, as LAME
    writes it.
    """
    with opened(path, "mp3") as container:
        packets = [bytes(packet) for packet in container.demux(audio=0) if packet.size]
    first = packets[0]
    is_version_1, is_mono = bool(first[1] & 0x08), first[3] & 0xC0 == 0xC0
    side = (17 if is_mono else 32) if is_version_1 else (9 if is_mono else 17)
    head = bytes([first[0], first[1] | 1, first[2], first[3]])  # no checksum
    count = len(packets).to_bytes(4, "big")
    frame = head + bytes(side) + b"Xing" + (1).to_bytes(4, "big") + count
    # a frame's length follows from its header: the count must fit into as many bytes
    if len(frame) > len(first):
        raise DataError(f"{path}: its frames of {len(first)} bytes are too short", DECODE_TO_WAV)
    return frame.ljust(len(first), b"\0") + content[_first_frame(content) :]
