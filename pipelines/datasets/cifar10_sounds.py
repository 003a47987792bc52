"""CIFAR-10's own images, each with a sound of its class from your folder of sounds.

The test part is CIFAR-10's. The sounds are yours: class folders named after the classes.
"""

from collections import defaultdict
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from pipelines.clips import in_place as own_files
from pipelines.clips.clips import Clip
from pipelines.clips.protocols import chosen, seeded_order
from pipelines.clips.walk import NOT_UTF8, printable
from pipelines.datasets._cifar10 import CLASSES, SOUNDS, VALIDATION_SHARE, class_files, recording_of
from pipelines.datasets._cifar10 import split as split_clips
from pipelines.errors import DataError
from pipelines.readers.sound import read_wav

VERSION = 1
IN_PLACE = ("audio_folder",)
BINARY = "cifar-10-batches-bin"
BATCHES = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]
ROW_BYTES, BATCH_ROWS = 3073, 10_000
DOWNLOAD_HINT = "avsnn download cifar10-sounds"


def pairs(
    raw: Path,
    *,
    protocol: Annotated[
        Literal["paper", "grouped"],
        Field(
            description="How sounds are split: paper uses all on every side, grouped has no "
            "recording in two splits."
        ),
    ] = "grouped",
    seed: Annotated[int, Field(ge=0, description="Seed of the pairing and of the splits.")] = 0,
    audio_folder: Annotated[
        str | None,
        Field(description="Folder on this machine with a folder of sounds for each class."),
    ] = None,
) -> list[Clip]:
    """List 60,000 pairs; the sounds of a class are taken in turn.

    Raises DataError if the sounds' folders are not CIFAR-10's classes, or hold too few for a split.
    """
    if audio_folder is None:
        raise DataError("cifar10-sounds needs sounds", "set data.audio_folder to class folders")
    images = raw / BINARY
    files = class_files(own_files.user_folder(audio_folder, "audio_folder"), SOUNDS)
    sounds = {key: paths for key, paths in files.items() if not own_files.name_fault(paths[0])}
    keys = {f"{name}/{stem}": CLASSES.index(name) for name, stem in sounds}
    groups = {key: recording_of(key.partition("/")[2]) for key in keys}
    # grouped: sounds are split before they are paired, so that no recording is in two splits
    sides = split_clips(keys, groups, seed) if protocol == "grouped" else None
    labels = {f"{b}#{row:04d}": int(label) for b in BATCHES for row, label in _labels(images / b)}
    training = {source: label for source, label in labels.items() if not source.startswith("test")}
    validation = chosen(training, VALIDATION_SHARE, seed, "validation")
    # sounds are far fewer than images: within a class and split each is used in turn
    clips, turn = [], defaultdict[tuple[int, str], int](int)
    stocks: dict[tuple[int, str], list[str]] = {}
    for source in seeded_order(labels, seed, "images"):
        label = labels[source]
        if source.startswith("test"):
            split = "test"
        else:
            split = "validation" if source in validation else "train"
        if (label, split) not in stocks:
            mine = [
                k for k, v in keys.items() if v == label and (sides is None or sides[k] == split)
            ]
            stocks[label, split] = seeded_order(mine, seed, f"{split} sounds")
        stock = stocks[label, split]
        if not stock:
            raise DataError(f"no sound of {CLASSES[label]} for the {split} split", "add recordings")
        key = stock[turn[label, split] % len(stock)]
        turn[label, split] += 1
        name, _, stem = key.partition("/")
        clips.append(
            Clip(
                source.replace(".bin#", "-"),
                split,
                label,
                groups[key],
                str(sounds[name, stem][0]),
                f"{BINARY}/{source}",
            )
        )
    bad = [
        Clip(
            printable("/".join(key)), "train", CLASSES.index(key[0]), "", "", "", excluded=NOT_UTF8
        )
        for key in files.keys() - sounds.keys()
    ]
    return sorted(clips + bad, key=lambda clip: clip.id)


def in_place(raw: Path, *, audio_folder: str | None = None) -> own_files.Own:
    """Return the hashes of the sounds that are read in the user's folder."""
    if audio_folder is None:
        return own_files.Own({}, {})
    folder = own_files.user_folder(audio_folder, "audio_folder")
    return own_files.of_files(folder, [paths[0] for paths in class_files(folder, SOUNDS).values()])


def audio(raw: Path, source: str) -> tuple[np.ndarray, int]:
    """Read a sound by its absolute path: (channels, samples) float32, and its rate in Hz."""
    return read_wav(Path(source))


def image(raw: Path, source: str) -> np.ndarray:
    """Read "<batch>#<row>" of the binary version: (32, 32, 3) uint8."""
    batch, _, number = source.partition("#")
    pixels = _batch(raw / batch)[int(number), 1:]
    # stored as three colour planes
    return np.ascontiguousarray(pixels.reshape(3, 32, 32).transpose(1, 2, 0))


def _labels(path: Path) -> list[tuple[int, int]]:
    return list(enumerate(_batch(path)[:, 0].tolist()))


@lru_cache(6)  # all batches: images come in seeded order from any of them
def _batch(path: Path) -> np.ndarray:
    """Read a batch of the binary version: (10,000, 3,073) uint8, a label and 3 x 32 x 32 levels.

    Raises DataError for another size, a label that is no class, or a file that cannot be read.
    """
    try:
        size = path.stat().st_size
        if size != ROW_BYTES * BATCH_ROWS:
            raise DataError(f"{path}: {size} bytes, not {ROW_BYTES * BATCH_ROWS}", DOWNLOAD_HINT)
        rows = np.fromfile(path, np.uint8).reshape(BATCH_ROWS, ROW_BYTES)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}", DOWNLOAD_HINT) from error
    if rows[:, 0].max() >= len(CLASSES):
        raise DataError(
            f"{path}: a label of {rows[:, 0].max()}, above {len(CLASSES) - 1}", DOWNLOAD_HINT
        )
    return rows
