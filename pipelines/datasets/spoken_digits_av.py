"""MNIST x Free Spoken Digit Dataset, paired by class inside each official split.

A recording (FSDD index 0-4: test, 5-49: training) is paired with images of the same digit from
the same official part of MNIST. No recording and no image is in two splits. A recording is in
several pairs of its split, each time with another image: the number of distinct recordings, not
of pairs, is the sample size of the audio.
"""

import gzip
import math
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from pipelines.clips.clips import Clip
from pipelines.datasets import _fsdd
from pipelines.datasets._fsdd import Recording
from pipelines.errors import DataError
from pipelines.readers.sound import read_wav

VERSION = 1
IMAGES = {"train": "mnist/train-images-idx3-ubyte.gz", "test": "mnist/t10k-images-idx3-ubyte.gz"}
LABELS = {"train": "mnist/train-labels-idx1-ubyte.gz", "test": "mnist/t10k-labels-idx1-ubyte.gz"}
VALIDATION_SHARE = 0.1
SIDE = 28


def pairs(
    raw: Path,
    *,
    protocol: Annotated[
        Literal["official", "held-out-speaker"],
        Field(
            description="How validation is taken from training: official by seed, "
            "held-out-speaker all recordings of one speaker."
        ),
    ] = "official",
    seed: Annotated[
        int, Field(ge=0, description="Seed of the pairing and of the validation split.")
    ] = 0,
    validation_speaker: Annotated[
        str,
        Field(
            description="Speaker that held-out-speaker validates on; the test set has this "
            "speaker too."
        ),
    ] = "theo",
    images_per_recording: Annotated[
        int,
        Field(
            ge=1,
            le=20,
            description="Number of images that one recording of training or validation is "
            "paired with.",
        ),
    ] = 4,
    test_images_per_recording: Annotated[
        int,
        Field(
            ge=1,
            le=20,
            description="Number of images that one of the 300 test recordings is paired with.",
        ),
    ] = 10,
) -> list[Clip]:
    """List the pairs.

    Raises DataError if files are missing, images are too few, or no speaker has that name.
    """
    recordings = _recordings(raw)
    speakers = sorted({recording.speaker for recording in recordings})
    if protocol == "held-out-speaker" and validation_speaker not in speakers:
        raise DataError(
            f"no speaker {validation_speaker!r} in the recordings",
            f"data.validation_speaker is one of {', '.join(speakers)}",
        )
    clips: list[Clip] = []
    for digit in range(10):
        of_digit = [r for r in recordings if r.digit == digit]
        test = [r for r in of_digit if r.is_test]
        rest = [r for r in of_digit if not r.is_test]
        if protocol == "held-out-speaker":
            validation = [r for r in rest if r.speaker == validation_speaker]
        else:
            # drawn within the digit, so that each class validates on the same share
            order = np.random.default_rng([seed, digit, 0]).permutation(len(rest))
            validation = [rest[i] for i in order[: round(VALIDATION_SHARE * len(rest))]]
        train = [r for r in rest if r not in set(validation)]
        images = {part: np.flatnonzero(_labels(raw, part) == digit) for part in ("train", "test")}
        # one iterator for each part, shared by its splits: no image is taken twice
        stock = {
            part: iter(np.random.default_rng([seed, digit, i]).permutation(indices).tolist())
            for i, (part, indices) in enumerate(images.items(), 1)
        }
        for split, members, part, count in (
            ("train", train, "train", images_per_recording),
            ("validation", validation, "train", images_per_recording),
            ("test", test, "test", test_images_per_recording),
        ):
            for recording in sorted(members):
                name = recording.name
                for _ in range(count):
                    number = next(stock[part], None)
                    if number is None:
                        raise DataError(
                            f"MNIST's {part} part has too few images of {digit}",
                            "lower data.images_per_recording or test_images_per_recording",
                        )
                    clips.append(
                        Clip(
                            f"{name}-{part}{number:05d}",
                            split,
                            digit,
                            name,
                            f"fsdd/recordings/{name}.wav",
                            f"{part}-{number}",
                        )
                    )
    return clips


def audio(raw: Path, source: str) -> tuple[np.ndarray, int]:
    """Read a recording: (1, samples) float32 in [-1, 1], and its rate (8 kHz)."""
    return read_wav(raw / source)


def image(raw: Path, source: str) -> np.ndarray:
    """Return an image "<train|test>-<index>": (28, 28, 1) uint8."""
    part, number = source.split("-")
    path = raw / IMAGES[part]
    images: np.ndarray = _idx(path, 3)
    if images.shape[1:] != (SIDE, SIDE) or int(number) >= len(images):
        raise DataError(
            f"{path} has no image {number} of {SIDE} x {SIDE} pixels", "download it again"
        )
    with_channel: np.ndarray = images[int(number), :, :, None]
    return with_channel


def _recordings(raw: Path) -> list[Recording]:
    recordings = _fsdd.recordings(raw)
    if not recordings:
        raise DataError(
            f"no recordings in {raw / 'fsdd/recordings'}", "avsnn download spoken-digits-av"
        )
    return recordings


def _labels(raw: Path, part: str) -> np.ndarray:
    return _idx(raw / LABELS[part], 1)


@lru_cache(8)
def _idx(path: Path, dimensions: int) -> np.ndarray:
    """Read a gzipped IDX file of bytes, in the shape that its header gives.

    Raises DataError for another file, a size above 1 GiB, or another length than the header's.
    """
    if path.exists() and not path.is_file():  # opening a pipe would wait for its writer
        raise DataError(f"{path} is not a file", "avsnn download spoken-digits-av")
    try:
        with gzip.open(path) as file:
            header = file.read(4 + 4 * dimensions)
            if len(header) != 4 + 4 * dimensions or header[:4] != bytes([0, 0, 8, dimensions]):
                raise DataError(f"{path} is not an IDX file of bytes", "download it again")
            shape = np.frombuffer(header[4:], ">u4").tolist()
            size = math.prod(shape)  # in Python's integers, which do not overflow
            if size > 1 << 30:
                raise DataError(f"{path} has a header for {size} bytes", "download it again")
            # one byte more shows a longer file without decompressing all of it
            data = file.read(size + 1)
    except (OSError, EOFError, gzip.zlib.error) as error:  # type: ignore[attr-defined]
        raise DataError(
            f"cannot read {path}: {error}", "avsnn download spoken-digits-av"
        ) from error
    if len(data) != size:
        raise DataError(
            f"{path} does not hold the {size} bytes that its header gives", "download it again"
        )
    return np.frombuffer(data, np.uint8).reshape(shape)
