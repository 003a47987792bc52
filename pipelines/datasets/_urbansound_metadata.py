"""Read the metadata of UrbanSound8K, and check each row against the name of its slice."""

import csv
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from pipelines.datasets._urbansound import CLASSES, STEM
from pipelines.errors import DataError

COLUMNS = ["slice_file_name", "fsID", "start", "end", "salience", "fold", "classID", "class"]
MAX_CSV_BYTES = 1 << 24
DOWNLOAD_HINT = "avsnn download urbansound8k; --from DIR takes it from a folder"

Row = dict[str, str]


def read_metadata(path: Path) -> list[Row]:
    """Return the rows of the metadata.

    Raises DataError for another file, and for a row that is not a slice of a class in a fold.
    """
    try:
        if path.stat().st_size > MAX_CSV_BYTES:
            raise DataError(f"{path} is larger than UrbanSound8K's metadata", DOWNLOAD_HINT)
        table = csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines())
        rows = list(table)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"cannot read {path}: {error}", DOWNLOAD_HINT) from error
    if table.fieldnames != COLUMNS:
        raise DataError(f"{path}: its columns are {table.fieldnames}, not {COLUMNS}", DOWNLOAD_HINT)
    twice = [n for n, count in Counter(r["slice_file_name"] for r in rows).items() if count > 1]
    if twice or not rows:
        raise DataError(
            f"{path}: {twice[0]} is listed twice" if twice else f"{path}: lists no slice",
            DOWNLOAD_HINT,
        )
    # line 1 is the header
    for number, row in enumerate(rows, 2):
        if fault := _fault(row):
            raise DataError(f"{path}:{number}: {fault}", DOWNLOAD_HINT)
    return rows


def _fault(row: Mapping[str, str | None]) -> str:
    """Return the fault of a row of the metadata, or ""."""
    name = row["slice_file_name"] or ""
    match = STEM.fullmatch(name.removesuffix(".wav"))
    if match is None or not name.endswith(".wav"):
        return f"{name!r} is not the name of a slice"
    try:
        start, end = float(row["start"] or ""), float(row["end"] or "")
        label, fold = int(row["classID"] or ""), int(row["fold"] or "")
    except ValueError as error:
        return str(error)
    if not 0 <= start < end < 1e6:
        return f"from {start:g} s to {end:g} s is no time span"
    if not (1 <= fold <= 10 and 0 <= label < len(CLASSES) and CLASSES[label] == row["class"]):
        return f"fold {fold}, class {label}, {row['class']!r} do not exist together"
    if not (row["fsID"] or "").isdigit():
        return f"fsID {row['fsID']!r} is no number"
    # recording and class are in the name too: cells shifted by a row show here
    if match.groups()[:2] != (row["fsID"], row["classID"]):
        return f"{name} is no slice of recording {row['fsID']} and class {row['classID']}"
    return ""
