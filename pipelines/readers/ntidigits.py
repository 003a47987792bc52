"""N-TIDIGITS18: one HDF5 file of spikes from a 64-channel silicon cochlea; nothing in it trusted.

Layout: `{train,test}_labels`, and `{train,test}_addresses/<label>` with the channel and
`{train,test}_timestamps/<label>` with the time in seconds of each spike. A label is
`<man|woman>-<speaker>-<a|b>-<digits>`, its digits o, z (both "zero") and 1 to 9.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np

from pipelines.errors import DataError
from pipelines.readers.events import Events, checked
from pipelines.readers.hints import FETCH_RECORDING

Part = Literal["train", "test"]
CHANNELS = 64
MAX_LABELS = 1 << 17
MAX_SPIKES = 1 << 22
MAX_CHUNK_BYTES = 1 << 26
MAX_SECONDS = 600
LABEL = re.compile(r"(?:man|woman)-[A-Za-z0-9]+-[ab]-[oz1-9]+")
# what h5py raises for damage, which differs from one part of a file to another
BROKEN = (OSError, KeyError, RuntimeError, TypeError, ValueError, AttributeError, OverflowError)


def read_labels(path: Path, part: Part) -> list[str]:
    """List the labels of a part, sorted.

    Raises DataError if the file is missing or damaged, links elsewhere, names a recording twice,
    or has a label of another form.
    """
    with _opened(path) as file:
        table = _dataset(file, f"{part}_labels", path, MAX_LABELS)
        raw = table[()].tolist()
        names = [n.decode() if isinstance(n, bytes) else str(n) for n in raw]
    for name in names:
        if not LABEL.fullmatch(name):
            raise DataError(
                f"{path}: {part}_labels holds {name[:80]!r}, not a label", FETCH_RECORDING
            )
    if len(set(names)) != len(names):
        raise DataError(f"{path}: {part}_labels names a recording twice", FETCH_RECORDING)
    return sorted(names)


def read_spikes(path: Path, part: Part, label: str) -> Events:
    """Read a recording: x is the channel, 0 to 63; times are rounded to whole µs.

    Raises DataError, naming file and recording, if it is missing, damaged, empty, longer than ten
    minutes, or its spikes run backwards, lie beyond the channels or at no finite time.
    """
    where = f"{path}: {part} {label}"
    # both tables while the file is open: their values are read on [()], not before
    with _opened(path) as file:
        channel = _dataset(file, f"{part}_addresses/{label}", path, MAX_SPIKES)
        time_s = _dataset(file, f"{part}_timestamps/{label}", path, MAX_SPIKES)
        if channel.dtype.kind not in "ui" or time_s.dtype.kind not in "uif":
            raise DataError(f"{where}: not channels and times", FETCH_RECORDING)
        if channel.shape != time_s.shape or not len(channel):
            raise DataError(
                f"{where}: {len(channel)} channels, {len(time_s)} times", FETCH_RECORDING
            )
        x, seconds = channel[()].astype(np.int64), time_s[()].astype(np.float64)
    if not (np.isfinite(seconds).all() and np.abs(seconds).max() <= MAX_SECONDS):
        raise DataError(f"{where}: times beyond {MAX_SECONDS} s", FETCH_RECORDING)
    if x.min() < 0 or x.max() >= CHANNELS:  # before the channel is cut to 16 bits
        raise DataError(f"{where}: channels from {x.min()} to {x.max()}", FETCH_RECORDING)
    events = Events(
        np.rint(seconds * 1e6).astype(np.int64),
        x.astype(np.int16),
        np.zeros(len(x), np.int16),
        np.zeros(len(x), np.uint8),
        1,
        CHANNELS,
    )
    return checked(events, where)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    import h5py  # here: listing the data sets needs none of it

    if not path.is_file():  # a pipe would be waited for
        raise DataError(f"{path}: no such file", FETCH_RECORDING)
    try:
        with h5py.File(path, "r") as file:
            yield file
    except BROKEN as error:
        raise DataError(f"{path}: not readable as HDF5: {error}", FETCH_RECORDING) from error


def _dataset(file: Any, name: str, path: Path, most: int) -> Any:
    """Return a table of at most `most` entries that lies in this file, whole and of one dimension.

    Raises DataError for any other: a hostile file could name one outside, or one beyond memory.
    """
    import h5py

    node = file
    # one group at a time, for h5py would follow a link in the middle of a path too
    for part in name.split("/"):
        if not isinstance(node, h5py.Group) or part not in node:
            raise DataError(f"{path}: has no {name}", FETCH_RECORDING)
        if not isinstance(node.get(part, getlink=True), h5py.HardLink):
            raise DataError(f"{path}: {name} is a link to elsewhere", FETCH_RECORDING)
        node = node[part]
    if not isinstance(node, h5py.Dataset) or node.ndim != 1:
        raise DataError(f"{path}: {name} is not a list", FETCH_RECORDING)
    if node.is_virtual or node.external:
        raise DataError(f"{path}: {name} is kept in another file", FETCH_RECORDING)
    # all of it from the header, before a value is read; one chunk is inflated whole for any value
    chunk = (node.chunks or (0,))[0] * node.dtype.itemsize
    if len(node) > most or chunk > MAX_CHUNK_BYTES or node.dtype.itemsize > 256:
        raise DataError(f"{path}: {name} has {len(node)} entries, at most {most}", FETCH_RECORDING)
    return node
