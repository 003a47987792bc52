"""The sample of N-MNIST that SLAYER publishes, 1,000 + 100 recordings, x Free Spoken Digit Dataset.

Paired as in n-mnist-spoken: for first steps with real events, without a gigabyte to download.
"""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from pipelines.clips.clips import Clip
from pipelines.datasets.n_mnist_spoken import DOWNLOAD_HINT, audio, events, paired
from pipelines.errors import DataError
from pipelines.readers.aedat import read_bounded

__all__ = ["VERSION", "audio", "events", "pairs"]

VERSION = 1
FOLDER = "n-mnist-small"
LISTS = {"train": "train1K.txt", "test": "test100.txt"}
LINE = re.compile(r"([0-9]{1,6})\s+([0-9])")
MAX_LIST_BYTES = 1 << 20


def pairs(
    raw: Path,
    *,
    protocol: Annotated[
        Literal["official"],
        Field(
            description="How clips are split: official keeps the official test parts and "
            "takes a tenth of training for validation, by seed."
        ),
    ] = "official",
    seed: Annotated[
        int, Field(ge=0, description="Seed of the pairing and of the validation split.")
    ] = 0,
) -> list[Clip]:
    """List a pair for each recording of the sample.

    Raises DataError for a list that is missing, has a line that is not a number and a digit, or
    names a recording twice or one without its file.
    """
    parts: dict[str, dict[str, int]] = {}
    sources: set[str] = set()
    for part, name in LISTS.items():
        path = raw / FOLDER / name
        parts[part] = _labels(path)
        # a recording in both lists would be trained on and tested
        both = sources & set(parts[part])
        if both:
            raise DataError(f"{path}: {min(both)} is in both lists", DOWNLOAD_HINT)
        sources |= set(parts[part])
    for source in sorted(sources):
        if not (raw / source).is_file():
            raise DataError(f"{raw / source}: no such file, but it is listed", DOWNLOAD_HINT)
    return paired(parts, raw, seed)


def _labels(path: Path) -> dict[str, int]:
    """Return the recordings of a list with their digits. Raises DataError."""
    text = read_bounded(path, MAX_LIST_BYTES).decode("ascii", errors="replace")
    digits: dict[str, int] = {}
    # the first line has the headings
    for number, line in enumerate(text.splitlines()[1:], 2):
        if not line.strip():
            continue
        match = LINE.fullmatch(line.strip())
        source = f"{FOLDER}/{match[1]}.bs2" if match else ""
        if not match or source in digits:
            raise DataError(f"{path}:{number}: {line[:80]!r} names no new recording", DOWNLOAD_HINT)
        digits[source] = int(match[2])
    if not digits:
        raise DataError(f"{path}: lists no recordings", DOWNLOAD_HINT)
    return digits
