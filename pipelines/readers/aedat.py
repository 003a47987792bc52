"""AEDAT 2.0: event files of a 128 x 128 camera (DVS128), as MNIST-DVS has them."""

import stat
from pathlib import Path
from typing import Literal

import numpy as np

from pipelines.errors import DataError
from pipelines.readers.events import Events, checked
from pipelines.readers.hints import FETCH_RECORDING

SIDE = 128
MAGIC = b"#!AER-DAT2.0"
MAX_BYTES = 1 << 27
MAX_HEADER_BYTES = 1 << 16

Orientation = Literal["raw", "dat2mat", "spikingjelly"]


def read_aedat2(path: Path, orientation: Orientation = "raw") -> Events:
    """Read a recording of a DVS128: big-endian pairs of address and time, 32 bits each.

    With x = (a >> 1) & 127, y = (a >> 8) & 127 and p = a & 1 of the address a, orientation sets
    what is returned: "raw" (x, y, p), "dat2mat" (127 - x, y, p), "spikingjelly" (127 - y, 127 - x,
    1 - p; what that library does to CIFAR10-DVS). It is not settled which one stands upright.
    Times are in µs. The format has no count of events: a file cut between two of them reads as a
    shorter recording, and only its checksum tells.
    Raises DataError, naming the file, if it is missing, too large, of another format, without
    events, cut inside an event, has address bits that this camera has not, or runs backwards.
    """
    data = read_bounded(path, MAX_BYTES)
    start = _header_end(data, path)
    # the only damage that shows without a checksum: there is no count of events
    if (len(data) - start) % 8:
        raise DataError(f"{path}: cut short, its last event is not whole", FETCH_RECORDING)
    pairs = np.frombuffer(data, ">u4", offset=start).reshape(-1, 2)
    if not len(pairs):
        raise DataError(f"{path}: holds no events", FETCH_RECORDING)
    address, t_us = pairs[:, 0].astype(np.int64), pairs[:, 1].astype(np.int64)
    # the higher bits mark what no pixel of this camera sends, such as its sync input
    if (address >> 15).any():
        raise DataError(f"{path}: addresses beyond a {SIDE} x {SIDE} camera", FETCH_RECORDING)
    x, y, p = (address >> 1) & 127, (address >> 8) & 127, address & 1
    if orientation == "dat2mat":
        x = 127 - x
    elif orientation == "spikingjelly":
        x, y, p = 127 - y, 127 - x, 1 - p
    events = Events(t_us, x.astype(np.int16), y.astype(np.int16), p.astype(np.uint8), SIDE, SIDE)
    return checked(events, path)


def read_bounded(path: Path, max_bytes: int) -> bytes:
    """Read a regular file whole. Raises DataError if it is none, unreadable or too large."""
    try:
        status = path.stat()
        # a pipe or device of that name would block, or never end
        if not stat.S_ISREG(status.st_mode):
            raise DataError(f"{path}: not a file", FETCH_RECORDING)
        if status.st_size > max_bytes:
            raise DataError(f"{path}: {status.st_size} bytes, at most {max_bytes}", FETCH_RECORDING)
        with path.open("rb") as file:
            # one byte more: a file that grew since `stat` is refused and not cut
            data = file.read(max_bytes + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"{path}: cannot be read: {reason}", FETCH_RECORDING) from error
    if len(data) > max_bytes:
        raise DataError(f"{path}: more than {max_bytes} bytes", FETCH_RECORDING)
    return data


def _header_end(data: bytes, path: Path) -> int:
    """Return where the lines that begin with # end and the events begin."""
    if not data.startswith(MAGIC):
        raise DataError(f"{path}: not an AEDAT 2.0 file", FETCH_RECORDING)
    # no event begins with #: its first byte is that of an address below 2^15, so 0
    end = 0
    while data[end : end + 1] == b"#":
        line = data.find(b"\n", end, MAX_HEADER_BYTES)
        if line < 0:
            raise DataError(f"{path}: its header does not end", FETCH_RECORDING)
        end = line + 1
    return end
