"""N-MNIST events x Free Spoken Digit Dataset, paired by class inside the official splits.

Each recording of N-MNIST is in one pair, with a recording of FSDD (index 0-4: test, 5-49:
training) of the same digit and the same split. Validation is a seeded tenth of both training
parts, chosen before anything is paired: no recording is in two splits. FSDD's recordings are used
many times: their number, not that of the pairs, is the sample size of the audio.
"""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from pipelines.clips.clips import Clip
from pipelines.clips.protocols import chosen, seeded_order
from pipelines.datasets import _fsdd
from pipelines.errors import DataError
from pipelines.readers.events import Events
from pipelines.readers.nmnist import read_nmnist
from pipelines.readers.sound import read_wav

VERSION = 1
FOLDERS = {"train": "n-mnist/Train", "test": "n-mnist/Test"}
VALIDATION_SHARE = 0.1
DOWNLOAD_HINT = "avsnn download fetches the data set; --from DIR takes it from a folder"


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
    """List a pair for each recording of N-MNIST (60,000 and 10,000).

    Raises DataError if folders are missing, empty, or not one for each digit.
    """
    return paired({part: _labels(raw, folder) for part, folder in FOLDERS.items()}, raw, seed)


def paired(events: Mapping[str, Mapping[str, int]], raw: Path, seed: int) -> list[Clip]:
    """List the pairs of event files and recordings. events: digit by file, for "train" and "test".

    Raises DataError if FSDD is missing, or has no recording for a digit and split that needs one.
    """
    spoken = _spoken(raw)
    clips = []
    # split before pairing, so that no recording is in two splits
    for split in ("train", "validation", "test"):
        sights = _members(events, split, seed, "event")
        sounds = defaultdict(list)
        for name, digit in _members(spoken, split, seed, "sound").items():
            sounds[digit].append(name)
        used: dict[int, int] = defaultdict(int)
        stock = {d: seeded_order(names, seed, f"{split} sounds") for d, names in sounds.items()}
        for source in seeded_order(sights, seed, f"{split} events"):
            digit = sights[source]
            if digit not in stock:
                raise DataError(f"no recording of {digit} for the {split} split", DOWNLOAD_HINT)
            # events are far more than recordings: each recording is used in turn
            sound = stock[digit][used[digit] % len(stock[digit])]
            used[digit] += 1
            part = "test" if split == "test" else "train"
            clips.append(
                Clip(
                    f"{part}-{Path(source).stem}-{sound}",
                    split,
                    digit,
                    sound,
                    f"fsdd/recordings/{sound}.wav",
                    source,
                    speaker=sound.split("_")[1],
                )
            )
    return sorted(clips, key=lambda clip: clip.id)


def audio(raw: Path, source: str) -> tuple[np.ndarray, int]:
    """Read a recording of FSDD: (1, samples) float32 in [-1, 1], and its rate (8 kHz)."""
    return read_wav(raw / source)


def events(raw: Path, source: str) -> Events:
    """Read a recording of N-MNIST: events of 34 x 34 pixels, about 0.3 s."""
    return read_nmnist(raw / source)


def _members(
    parts: Mapping[str, Mapping[str, int]], split: str, seed: int, kind: str
) -> dict[str, int]:
    """Return the sources of one split: name to digit."""
    if split == "test":
        return dict(parts["test"])
    validation = chosen(parts["train"], VALIDATION_SHARE, seed, f"validation {kind}")
    is_validation = split == "validation"
    return {name: d for name, d in parts["train"].items() if (name in validation) == is_validation}


def _labels(raw: Path, folder: str) -> dict[str, int]:
    """Return the event files of a part, `<folder>/<digit>/<number>.bin`, with their digits."""
    if not (raw / folder).is_dir():
        raise DataError(f"{raw / folder}: no such folder", DOWNLOAD_HINT)
    classes = {path.name for path in (raw / folder).iterdir() if path.is_dir()}
    if classes != set("0123456789"):
        raise DataError(
            f"{raw / folder} has the folders {', '.join(sorted(classes))}, not 0 to 9",
            "move away what does not belong there",
        )
    digits = {}
    for digit in range(10):
        files = sorted((raw / folder / str(digit)).glob("*.bin"))
        if not files:
            raise DataError(f"{raw / folder / str(digit)} holds no .bin files", DOWNLOAD_HINT)
        digits.update({f"{folder}/{digit}/{path.name}": digit for path in files})
    return digits


def _spoken(raw: Path) -> dict[str, dict[str, int]]:
    """Return FSDD's recordings, without their suffix, with their digits, by official part."""
    digits: dict[str, dict[str, int]] = {"train": {}, "test": {}}
    for recording in _fsdd.recordings(raw):
        digits["test" if recording.is_test else "train"][recording.name] = recording.digit
    if not digits["train"] or not digits["test"]:
        raise DataError(
            f"no recordings of both official parts in {raw / 'fsdd/recordings'}", DOWNLOAD_HINT
        )
    return digits
