"""UrbanSound8K-AV: each slice of UrbanSound8K with an image of its class, paired by its authors.

Guo et al., IEEE TCDS 16(3), 2024. Pairs have one stem in one class folder. The authors publish
neither a split nor the source of the images: fold and recording come from the stem, which is that
of the slice.
"""

from collections import defaultdict
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from pipelines.clips.clips import Clip
from pipelines.datasets._urbansound import CLASSES, STEM, Protocol, Slice, folds, split
from pipelines.errors import DataError
from pipelines.readers.pictures import read_picture
from pipelines.readers.sound import read_wav

VERSION = 2
# the first as S-CMRL's and BIM-ML's code reads it, the second as ISNet's does
LAYOUTS = (("Dataset_v3_sound", "Dataset_v3_vision"), ("audio", "vision"))
SOUNDS, PICTURES = {".wav"}, {".jpg", ".jpeg", ".png"}
IGNORED = {"__MACOSX"}
FOLDER = "urbansound8k-av"
DOWNLOAD_HINT = "run avsnn download urbansound8k-av: it prints what to do"

FilesByStem = dict[tuple[str, str], list[str]]  # (class, stem) to paths


def pairs(
    raw: Path,
    *,
    protocol: Annotated[
        Protocol,
        Field(
            description="How test and validation clips are split off; the data set's page "
            "explains each protocol."
        ),
    ] = "grouped-fsid",
    seed: Annotated[int, Field(ge=0, description="Seed of the split.")] = 0,
    test_fold: Annotated[
        int, Field(ge=1, le=10, description="Fold that official-folds tests on.")
    ] = 10,
) -> list[Clip]:
    """List the pairs; a file without its pair is excluded with the reason.

    Raises DataError if the class folders are not those of UrbanSound8K or nothing pairs.
    """
    sounds, pictures = (
        _files(folder, kinds)
        for folder, kinds in zip(_folders(raw / FOLDER), (SOUNDS, PICTURES), strict=True)
    )
    # the pairs come with no folds: those of the slices' own data set
    official = folds()
    faults = {
        key: fault
        for key in sorted(sounds.keys() | pictures.keys())
        if (fault := _fault(key, sounds, pictures, official))
    }
    slices = {
        stem: Slice(stem.split("-")[0], official[stem], CLASSES.index(name))
        for name, stem in sounds
        if (name, stem) not in faults
    }
    if not slices:
        raise DataError(f"no pair in {raw}", DOWNLOAD_HINT)
    splits = split(slices, protocol, seed, test_fold)
    good = [
        Clip(
            stem,
            splits[stem],
            entry.label,
            entry.recording,
            _relative(sounds, stem, entry, raw),
            _relative(pictures, stem, entry, raw),
        )
        for stem, entry in sorted(slices.items())
    ]
    bad = [
        Clip(f"{name}/{stem}", "train", 0, stem, "", "", excluded=fault)
        for (name, stem), fault in faults.items()
    ]
    return good + bad


def audio(raw: Path, source: str) -> tuple[np.ndarray, int]:
    """Read a slice: (channels, samples) float32, and its rate in Hz."""
    return read_wav(raw / source)


def image(raw: Path, source: str) -> np.ndarray:
    """Read the image of a slice: (H, W, 3) uint8."""
    return read_picture(raw / source)


def _folders(raw: Path) -> tuple[Path, Path]:
    """Return the folders of sounds and of images. Raises DataError unless there is one of each."""
    # up to two levels down: archives are unpacked with or without their top folder
    layouts = [
        (base / sound, base / vision)
        for base in (raw, *sorted(raw.glob("*/")), *sorted(raw.glob("*/*/")))
        for sound, vision in LAYOUTS
        if (base / sound).is_dir() and (base / vision).is_dir()
    ]
    if len(layouts) != 1:
        names = " or ".join(" and ".join(layout) for layout in LAYOUTS)
        many = "several times" if layouts else "not"
        raise DataError(f"{raw}: the folders {names} are {many} there", DOWNLOAD_HINT)
    return layouts[0]


def _files(folder: Path, kinds: set[str]) -> FilesByStem:
    """Return the files of the ten class folders by class and stem. Raises DataError for others."""
    classes = {path.name for path in folder.iterdir() if path.is_dir()} - IGNORED
    if classes != set(CLASSES):
        strange = sorted(classes ^ set(CLASSES))
        raise DataError(
            f"{folder}: {', '.join(strange)} {'is' if len(strange) == 1 else 'are'} missing or "
            "not a class of UrbanSound8K",
            DOWNLOAD_HINT,
        )
    by_stem: FilesByStem = defaultdict(list)
    for path in sorted(folder.glob("*/*")):
        if path.suffix.lower() in kinds and not path.name.startswith("."):
            by_stem[path.parent.name, path.stem].append(str(path))
    return by_stem


def _fault(
    key: tuple[str, str], sounds: FilesByStem, pictures: FilesByStem, official: dict[str, int]
) -> str:
    """Return why the files of one class and stem make no pair, or ""."""
    name, stem = key
    match = STEM.fullmatch(stem)
    for kind, files in (("sound", sounds), ("image", pictures)):
        if len(files.get(key, ())) != 1:
            return f"has {len(files.get(key, ()))} files as its {kind}"
    if match is None or stem not in official:
        return "is not a slice of UrbanSound8K"
    # a slice in another class's folder would be learned under a wrong label
    if CLASSES[int(match[2])] != name:
        return f"is a slice of {CLASSES[int(match[2])]}, not of {name}"
    return ""


def _relative(files: FilesByStem, stem: str, entry: Slice, raw: Path) -> str:
    return Path(files[CLASSES[entry.label], stem][0]).relative_to(raw).as_posix()
