"""Feature caches: one HDF5 file a split, one row a source, a CRC-32 a row.

The rows lie contiguous: in this layout a row is read as fast as a memory map, where a chunked one
is 2-200 times slower. Contiguous data has no `fletcher32`, hence the CRC, checked at every read.
"""

import os
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import h5py
import numpy as np

from pipelines import store
from pipelines.errors import DataError

FORMAT = 1
SOURCE_BYTES = 200
HINT = "it was not written by avsnn, or is damaged: remove it and run avsnn prepare"
BROKEN = (OSError, KeyError, RuntimeError, TypeError, ValueError)  # what h5py raises for damage


def write(
    path: Path,
    sources: Sequence[str],
    row_shape: tuple[int, ...],
    dtype: np.dtype,
    batches: Iterable[tuple[np.ndarray, np.ndarray]],
    attributes: Mapping[str, str],
) -> None:
    """Publish a cache file.

    batches: (row numbers (b,), rows (b, *row_shape)), each row once, in any order.
    """
    names = np.array([name.encode() for name in sources], dtype=f"S{SOURCE_BYTES}")
    if any(len(name.encode()) > SOURCE_BYTES for name in sources):
        raise DataError(f"a source's name is longer than {SOURCE_BYTES} bytes", "rename the file")
    written = 0
    with store.publish(path) as part, h5py.File(part, "w", libver=("v110", "v110")) as file:
        rows = file.create_dataset("rows", (len(sources), *row_shape), dtype)
        crc = np.zeros(len(sources), np.uint32)
        for numbers, batch in batches:
            first, last = int(numbers[0]), int(numbers[-1])
            if last - first == len(numbers) - 1:
                rows[first : last + 1] = batch
            else:
                for number, row in zip(numbers, batch, strict=True):
                    rows[number] = row
            crc[numbers] = [zlib.crc32(np.ascontiguousarray(row).data) for row in batch]
            written += len(numbers)
        if written != len(sources):
            raise AssertionError(f"{written} of {len(sources)} rows written")
        file.create_dataset("crc32", data=crc)
        file.create_dataset("source", data=names)
        file.attrs["format"] = FORMAT
        for name, value in attributes.items():
            file.attrs[name] = value


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
        except BROKEN as error:
            self.close()
            raise DataError(f"cache {path} is damaged: {error}", HINT) from error

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
            self._open()["rows"].read_direct(rows)
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
    """Refuse what we would not have written: links, external or virtual data, claimed sizes."""
    size = path.stat().st_size
    try:
        if file.attrs.get("format") != FORMAT:
            raise DataError(f"cache {path} has another format", HINT)
        for name, kinds in (("rows", "fui"), ("crc32", "u"), ("source", "S")):
            link = file.get(name, getlink=True)
            dataset = file[name] if isinstance(link, h5py.HardLink) else None
            if not isinstance(dataset, h5py.Dataset) or dataset.dtype.kind not in kinds:
                raise DataError(f"cache {path} has no valid {name!r}", HINT)
            if name != "rows" and dataset.ndim != 1:
                raise DataError(f"cache {path}: {name!r} is not one value a row", HINT)
            stored = dataset.id.get_storage_size()
            whole = stored == dataset.size * dataset.dtype.itemsize and stored <= size
            if dataset.external or dataset.is_virtual or not whole:
                raise DataError(f"cache {path}: {name!r} does not lie in the file", HINT)
        if len({len(file[name]) for name in ("rows", "crc32", "source")}) != 1:
            raise DataError(f"cache {path}: its tables have different lengths", HINT)
    except BROKEN as error:
        raise DataError(f"cache {path} is damaged: {error}", HINT) from error
