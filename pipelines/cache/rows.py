"""Feature caches: one HDF5 file a split, one row a source, a CRC-32 a row.

The layout is contiguous: a row is read as fast as from a memory map, and 2-200 times faster than
from chunks. HDF5 has no checksum for contiguous data, hence the CRC, checked at every read.
"""

import math
import os
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import h5py
import numpy as np

from pipelines.disk import room, store
from pipelines.errors import DataError

FORMAT = 2
SOURCE_BYTES = 200  # of the table of names, unless one is longer
TABLE_BYTES = SOURCE_BYTES + 4 + 8 + 8  # of a row: its name, CRC, and two hashes
MAX_SOURCE_BYTES = 4096  # the longest path that Linux takes
REMOVE_AND_PREPARE = "it was not written by avsnn, or is damaged: remove it and run avsnn prepare"
TABLES = {"rows": "fui", "crc32": "u", "content": "u", "look": "u", "source": "S"}  # dtype kinds
BROKEN = (OSError, KeyError, RuntimeError, TypeError, ValueError)  # what h5py raises for damage


class Block(NamedTuple):
    """Rows to write, one a source.

    names: (b,) sources. rows: (b, *row_shape). content: (b,) uint64, a hash of what was decoded,
    equal for equal sounds and images. look: (b,) uint64, a hash of how an image looks, else 0.
    """

    names: Sequence[str]
    rows: np.ndarray
    content: np.ndarray
    look: np.ndarray


def write(
    path: Path,
    capacity: int,
    row_shape: tuple[int, ...],
    dtype: np.dtype,
    blocks: Iterable[Block],
    attributes: Mapping[str, str],
) -> None:
    """Publish a cache file of at most `capacity` rows, in the order in which they come."""
    names: list[bytes] = []
    tables: dict[str, list[np.ndarray]] = {"crc32": [], "content": [], "look": []}
    needed = capacity * (math.prod(row_shape) * dtype.itemsize + TABLE_BYTES)
    with store.publish(path) as part:
        # room for all rows is asked for before the first: a disk that fills up later would end
        # hours of work. Unfailing: HDF5 crashes after a failed write, so check() raises instead
        room.require(part, needed)
        with room.Unfailing(part, needed) as target:
            with h5py.File(target, "w", libver=("v110", "v110")) as file:
                rows = file.create_dataset("rows", (capacity, *row_shape), dtype)
                for block in blocks:
                    rows[len(names) : len(names) + len(block.names)] = block.rows
                    target.check()
                    crc = [zlib.crc32(np.ascontiguousarray(row).data) for row in block.rows]
                    tables["crc32"].append(np.array(crc, np.uint32))
                    tables["content"].append(block.content)
                    tables["look"].append(block.look)
                    names += [_name(name) for name in block.names]
                if not names:
                    raise DataError(
                        f"cache {path} would have no rows", "see the clips left out above"
                    )
                # names of fixed width: strings of variable length lie in a heap that is not checked
                width = max(SOURCE_BYTES, *map(len, names))
                file.create_dataset("source", data=np.array(names, dtype=f"S{width}"))
                for name, parts in tables.items():
                    file.create_dataset(name, data=np.concatenate(parts))
                file.attrs["format"] = FORMAT
                for name, value in attributes.items():
                    file.attrs[name] = value
            target.check()


def _name(source: str) -> bytes:
    name = source.encode()
    if len(name) > MAX_SOURCE_BYTES:
        raise DataError(
            f"a source's name is longer than {MAX_SOURCE_BYTES} bytes: {source}", "rename the file"
        )
    return name


class Rows:
    """A cache file for reading; opened on first use in each process, never pickled open."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: h5py.File | None = None
        self._owner = 0
        file = self._open()
        try:
            self.sources = [name.decode() for name in file["source"][()]]
            self.row_shape: tuple[int, ...] = tuple(file["rows"].shape[1:])
            self.dtype: np.dtype = file["rows"].dtype
            self.attributes = {k: v for k, v in file.attrs.items() if isinstance(v, str)}
            self._crc = file["crc32"][()]
            self.content, self.look = file["content"][()], file["look"][()]
        except BROKEN as error:
            self.close()
            raise DataError(f"cache {path} is damaged: {error}", REMOVE_AND_PREPARE) from error

    def __len__(self) -> int:
        return len(self.sources)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_file": None}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; the next read opens it again."""
        if self._file is not None:
            self._file.close()
        self._file = None

    def all(self) -> np.ndarray:
        """Read every row: (N, *row_shape)."""
        rows = np.empty((len(self), *self.row_shape), self.dtype)
        if len(self):
            self._open()["rows"].read_direct(rows, np.s_[: len(self)])
        self._verify(rows, range(len(self)))
        return rows

    def read(self, numbers: Sequence[int]) -> np.ndarray:
        """Read some rows, in the order asked: (b, *row_shape)."""
        dataset = self._open()["rows"]
        rows = np.empty((len(numbers), *self.row_shape), self.dtype)
        for place, number in enumerate(numbers):
            dataset.read_direct(rows, np.s_[number : number + 1], np.s_[place : place + 1])
        self._verify(rows, numbers)
        return rows

    def _verify(self, rows: np.ndarray, numbers: Sequence[int]) -> None:
        for row, number in zip(rows, numbers, strict=True):
            if zlib.crc32(row) != self._crc[number]:
                raise DataError(
                    f"{self.path}: row {number} ({self.sources[number]}) is damaged",
                    "avsnn cache verify lists all damage; remove the cache and prepare again",
                )

    def _open(self) -> h5py.File:
        # a handle of HDF5 must not be used on both sides of a fork: each process opens its own
        if self._file is not None and self._owner == os.getpid():
            return self._file
        try:
            file = h5py.File(self.path, "r", locking=False)
        except OSError as error:
            cause = "missing" if not self.path.exists() else f"not readable: {error}"
            raise DataError(f"cache {self.path} is {cause}", "avsnn prepare makes it") from error
        try:
            _check_layout(self.path, file)
        except DataError:
            file.close()
            raise
        self._file, self._owner = file, os.getpid()
        return file


def _check_layout(path: Path, file: h5py.File) -> None:
    """Raise DataError for a file that `write` cannot have written.

    A hostile file may hold links to other files, external or virtual data, or claim a size that it
    does not have: all of it is refused before a row is read.
    """
    size = path.stat().st_size
    try:
        if file.attrs.get("format") != FORMAT:
            raise DataError(f"cache {path} has another format", REMOVE_AND_PREPARE)
        for name, kinds in TABLES.items():
            # the link before the data set: opening an external link would open its target
            link = file.get(name, getlink=True)
            dataset = file[name] if isinstance(link, h5py.HardLink) else None
            if not isinstance(dataset, h5py.Dataset) or dataset.dtype.kind not in kinds:
                raise DataError(f"cache {path} has no valid {name!r}", REMOVE_AND_PREPARE)
            if name != "rows" and dataset.ndim != 1:
                raise DataError(
                    f"cache {path}: {name!r} is not one value a row", REMOVE_AND_PREPARE
                )
            # a data set of terabytes takes no room in a file until it is written
            stored = dataset.id.get_storage_size()
            whole = stored == dataset.size * dataset.dtype.itemsize and stored <= size
            if dataset.external or dataset.is_virtual or not whole:
                raise DataError(
                    f"cache {path}: {name!r} does not lie in the file", REMOVE_AND_PREPARE
                )
        # `rows` was created before it was known which sources cannot be used: it may be longer
        lengths = {len(file[name]) for name in TABLES if name != "rows"}
        if len(lengths) != 1 or lengths.pop() > len(file["rows"]):
            raise DataError(f"cache {path}: its tables have different lengths", REMOVE_AND_PREPARE)
    except BROKEN as error:
        raise DataError(f"cache {path} is damaged: {error}", REMOVE_AND_PREPARE) from error
