"""Read what each file of SLoClas holds from the user's table."""

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from pipelines.datasets._sloclas_names import CLASSES, SPELT
from pipelines.errors import DataError

MAX_BYTES, MAX_ROWS = 1 << 28, 1_000_000
END = object()  # not None: null is a row of JSON lines


class Part(NamedTuple):
    """A labelled part of a file. start_s, end_s: None for the whole file. sound: the dry sound."""

    file: str
    label: int
    azimuth_deg: float
    start_s: float | None
    end_s: float | None
    recording: str
    sound: str


def read_layout(path: Path) -> list[Part]:
    """Read a table: file, class, azimuth_deg, and optionally start_s, end_s, recording, sound.

    file: below the data set's folder. recording: what must not be split, instead of the file.
    sound: the dry sound that was played. Raises DataError naming the line at fault.
    """
    row_number, parts = 0, []
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"above {MAX_BYTES} bytes")
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows: Iterator[Any] = (
                (json.loads(text) for text in file if text.strip())
                if path.suffix == ".jsonl"
                else csv.DictReader(file)
            )
            # next, not a loop over rows: reading can raise, and its row must be counted by then
            for row_number in range(1, MAX_ROWS + 2):
                row: Any = next(rows, END)
                if row is END:
                    break
                if row_number > MAX_ROWS:
                    raise ValueError(f"more than {MAX_ROWS} rows")
                parts.append(_part(row))
    except (
        OSError,
        ValueError,
        TypeError,
        KeyError,
        OverflowError,
        csv.Error,
        RecursionError,
    ) as error:
        reason = f"no column {error}" if isinstance(error, KeyError) else error
        raise DataError(
            f"{path}, row {row_number}: {reason}",
            "columns: file, class, azimuth_deg, and optionally start_s, end_s, recording, sound",
        ) from error
    if not parts:
        raise DataError(f"{path}: no rows", "one row for each file or segment")
    return parts


def _part(row: Mapping[str, Any]) -> Part:
    """Return the part that a row describes. Raises ValueError, TypeError or KeyError."""
    name, kind = row["file"], row["class"]
    recording, sound = (str(row.get(column) or "") for column in ("recording", "sound"))
    # the manifest is UTF-8: a name that cannot be printed cannot be written there
    if not isinstance(name, str) or not (name + recording + sound).isprintable():
        raise ValueError("a file, recording or sound without a printable name")
    # the name is joined to the data set's folder, and must not lead out of it
    if not name or PurePosixPath(name).is_absolute() or ".." in name.split("/"):
        raise ValueError(f"not a path below the data set's folder: {name[:80]!r}")
    label = SPELT.get(str(kind).rstrip("0123456789").lower())
    if label is None:
        raise ValueError(f"no class {str(kind)[:40]!r}, only {', '.join(CLASSES)}")
    azimuth = _number(row["azimuth_deg"])
    start, end = (
        None if row.get(key) in (None, "") else _number(row[key]) for key in ("start_s", "end_s")
    )
    if not 0 <= azimuth <= 360:
        raise ValueError(f"azimuth_deg {azimuth:g} is not in 0 to 360")
    if (start is None) != (end is None):
        raise ValueError("start_s and end_s come together")
    if start is not None and end is not None and not 0 <= start < end < 1e6:
        raise ValueError(f"no span from {start:g} to {end:g} s")
    return Part(name, label, azimuth % 360, start, end, recording, sound)


def _number(written: Any) -> float:
    """Return a number as people write it. Raises ValueError or TypeError."""
    # Python also reads 4_5, as 45, and true, as 1
    if isinstance(written, bool) or (isinstance(written, str) and "_" in written):
        raise ValueError(f"could not convert to a number: {written!r}")
    return float(written)
