"""N-MNIST's 40-bit events, in the official `.bin` files and in the `.bs2` files of a sample."""

from pathlib import Path

import numpy as np

from pipelines.errors import DataError
from pipelines.readers.aedat import read_bounded
from pipelines.readers.events import Events, checked
from pipelines.readers.hints import FETCH_RECORDING

SIDE = 34
MAX_BYTES = 5 << 22
OVERFLOW_ROW = 240
OVERFLOW_US = 1 << 13


def read_nmnist(path: Path) -> Events:
    """Read a recording of N-MNIST: 34 x 34 pixels, times in µs.

    An event is 5 bytes: x, y, then 1 bit of polarity and 23 bits of time, most significant first.
    A row of 240 is no event but an overflow of the clock, and moves all later times by 2^13 µs,
    as in the authors' reader (G. Orchard's eventvision.py).
    Raises DataError, naming the file, if it is missing, too large, empty, cut inside an event, or
    its events lie beyond the sensor, run backwards or are all at one time.
    Source: Orchard et al., Front. Neurosci. 9:437, 2015.
    """
    data = np.frombuffer(read_bounded(path, MAX_BYTES), np.uint8)
    if len(data) % 5:
        raise DataError(f"{path}: cut short, its last event is not whole", FETCH_RECORDING)
    fields = data.reshape(-1, 5).astype(np.int64)
    x, y, high, middle, low = fields.T
    # before the rows are cut to those that exist: each overflow moves what follows it
    overflow = y == OVERFLOW_ROW
    t_us = ((high & 127) << 16 | middle << 8 | low) + OVERFLOW_US * np.cumsum(overflow)
    kept = ~overflow
    if not kept.any():
        raise DataError(f"{path}: holds no events", FETCH_RECORDING)
    if len(fields) > 1 and not np.ptp(t_us):  # a file of zeros would be a recording of no length
        raise DataError(f"{path}: all its events are at one time", FETCH_RECORDING)
    events = Events(
        t_us[kept],
        x[kept].astype(np.int16),
        y[kept].astype(np.int16),
        (high >> 7)[kept].astype(np.uint8),
        SIDE,
        SIDE,
    )
    return checked(events, path)
