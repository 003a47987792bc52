"""The sample of N-MNIST that SLAYER hands out, 1,000 + 100 recordings, x Free Spoken Digit Dataset.

Paired as in n-mnist-spoken: for first steps with real events, without a gigabyte to download.
"""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from pipelines.clips.clips import Clip
from pipelines.datasets.n_mnist_spoken import HINT, audio, events, paired
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

    Raises DataError for a list that is missing, says anything but numbers and digits, names a
    recording twice, or names one that is not there.
    """
    found: dict[str, dict[str, int]] = {}
    seen: set[str] = set()
    for part, name in LISTS.items():
        path = raw / FOLDER / name
        found[part] = _labels(path)
        both = seen & set(found[part])
        if both:
            raise DataError(f"{path}: {min(both)} is in both lists", HINT)
        seen |= set(found[part])
    for source in sorted(seen):
        if not (raw / source).is_file():
            raise DataError(f"{raw / source}: no such file, but it is listed", HINT)
    return paired(found, raw, seed)


def _labels(path: Path) -> dict[str, int]:
    """Read a list: a line of headings, then number and digit of a recording."""
    text = read_bounded(path, MAX_LIST_BYTES).decode("ascii", errors="replace")
    found: dict[str, int] = {}
    for number, line in enumerate(text.splitlines()[1:], 2):
        if not line.strip():
            continue
        match = LINE.fullmatch(line.strip())
        source = f"{FOLDER}/{match[1]}.bs2" if match else ""
        if not match or source in found:
            raise DataError(f"{path}:{number}: {line[:80]!r} names no new recording", HINT)
        found[source] = int(match[2])
    if not found:
        raise DataError(f"{path}: lists no recordings", HINT)
    return found
