"""CIFAR10-AV: images of CIFAR-10's classes with sounds, paired by its authors.

Guo et al., IEEE TCDS 16(3), 2024: pairs of one stem in class folders, without a split. The
source of sounds and images is not published. `cifar10-sounds` pairs CIFAR-10 with your own sounds.
"""

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from pipelines.clips.clips import Clip
from pipelines.datasets._cifar10 import CLASSES, SOUNDS, class_files, recording_of, split
from pipelines.errors import DataError
from pipelines.readers.pictures import read_picture
from pipelines.readers.sound import read_wav

VERSION = 2
FOLDER = "cifar10-av"
LAYOUTS = (("Dataset_v3_sound", "Dataset_v3_vision"), ("audio", "vision"))
PICTURES = {".png", ".jpg", ".jpeg"}
DOWNLOAD_HINT = "run avsnn download cifar10-av: it prints what to do"


def pairs(
    raw: Path,
    *,
    protocol: Annotated[
        Literal["paper", "grouped"],
        Field(
            description="How clips are split: paper is 5:1 of each class, grouped has no "
            "recording in two splits."
        ),
    ] = "grouped",
    seed: Annotated[int, Field(ge=0, description="Seed of the split.")] = 0,
) -> list[Clip]:
    """List the pairs; a file without its pair is excluded with the reason.

    Raises DataError if the class folders are not those of CIFAR-10 or nothing pairs.
    """
    folder = raw / FOLDER
    sounds, pictures = (
        class_files(tree, kinds)
        for tree, kinds in zip(_trees(folder), (SOUNDS, PICTURES), strict=True)
    )
    labels: dict[str, int] = {}
    bad: list[Clip] = []
    for name, stem in sorted(sounds.keys() | pictures.keys()):
        counts = len(sounds.get((name, stem), ())), len(pictures.get((name, stem), ()))
        if counts == (1, 1):
            labels[f"{name}/{stem}"] = CLASSES.index(name)
        else:
            fault = f"has {counts[0]} sounds and {counts[1]} images of its name"
            bad.append(Clip(f"{name}/{stem}", "train", 0, stem, "", "", excluded=fault))
    if not labels:
        raise DataError(f"no pair in {folder}", DOWNLOAD_HINT)
    # stems are not unique across classes: a key is class and stem
    groups = {key: recording_of(key.partition("/")[2]) for key in labels}
    splits = split(labels, groups if protocol == "grouped" else None, seed)
    good = []
    for key, side in splits.items():
        name, _, stem = key.partition("/")
        sound, picture = (
            files[name, stem][0].relative_to(folder.parent).as_posix()
            for files in (sounds, pictures)
        )
        good.append(Clip(key, side, labels[key], groups[key], sound, picture))
    return good + bad


def audio(raw: Path, source: str) -> tuple[np.ndarray, int]:
    """Read a sound: (channels, samples) float32, and its rate in Hz."""
    return read_wav(raw / source)


def image(raw: Path, source: str) -> np.ndarray:
    """Read an image: (H, W, 3) uint8."""
    return read_picture(raw / source)


def _trees(folder: Path) -> tuple[Path, Path]:
    """Return the folders of sounds and of images. Raises DataError unless there is one of each."""
    # up to two levels down: archives are unpacked with or without their top folder
    layouts = [
        (base / sound, base / vision)
        for base in (folder, *sorted(folder.glob("*/")), *sorted(folder.glob("*/*/")))
        for sound, vision in LAYOUTS
        if (base / sound).is_dir() and (base / vision).is_dir()
    ]
    if len(layouts) != 1:
        names = " or ".join(" and ".join(layout) for layout in LAYOUTS)
        many = "several times" if layouts else "not"
        raise DataError(f"{folder}: the folders {names} are {many} there", DOWNLOAD_HINT)
    return layouts[0]
