"""UrbanSound8K-AV: each slice of UrbanSound8K with an image of its class, paired by its authors.

Guo et al., IEEE TCDS 16(3), 2024. Pairs have one stem in one class folder. The authors publish no
split and do not say where the images are from: fold and recording come from the stem, which is
that of the slice.
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
# as the authors of S-CMRL and of BIM-ML read it, and as those of ISNet do
LAYOUTS = (("Dataset_v3_sound", "Dataset_v3_vision"), ("audio", "vision"))
SOUNDS, PICTURES = {".wav"}, {".jpg", ".jpeg", ".png"}
IGNORED = {"__MACOSX"}
FOLDER = "urbansound8k-av"
HINT = "avsnn download urbansound8k-av says what to do"

Found = dict[tuple[str, str], list[str]]  # (class, stem) to paths


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
    """List the pairs; a file that makes none is excluded with its reason.

    Raises DataError if the class folders are not those of UrbanSound8K or nothing pairs.
    """
    sounds, pictures = (
        _files(folder, kinds)
        for folder, kinds in zip(_folders(raw / FOLDER), (SOUNDS, PICTURES), strict=True)
    )
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
        raise DataError(f"no pair in {raw}", HINT)
    splits = split(slices, protocol, seed, test_fold)
    good = [
        Clip(
            stem,
            splits[stem],
            found.label,
            found.recording,
            _relative(sounds, stem, found, raw),
            _relative(pictures, stem, found, raw),
        )
        for stem, found in sorted(slices.items())
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
    """Find the folders of sounds and of images, at most two levels down."""
    found = [
        (base / sound, base / vision)
        for base in (raw, *sorted(raw.glob("*/")), *sorted(raw.glob("*/*/")))
        for sound, vision in LAYOUTS
        if (base / sound).is_dir() and (base / vision).is_dir()
    ]
    if len(found) != 1:
        names = " or ".join(" and ".join(layout) for layout in LAYOUTS)
        many = "several times" if found else "not"
        raise DataError(f"{raw}: the folders {names} are {many} there", HINT)
    return found[0]


def _files(folder: Path, kinds: set[str]) -> Found:
    """List the files of the ten class folders by class and stem."""
    classes = {path.name for path in folder.iterdir() if path.is_dir()} - IGNORED
    if classes != set(CLASSES):
        strange = sorted(classes ^ set(CLASSES))
        raise DataError(
            f"{folder}: {', '.join(strange)} {'is' if len(strange) == 1 else 'are'} missing or "
            "not a class of UrbanSound8K",
            HINT,
        )
    found: Found = defaultdict(list)
    for path in sorted(folder.glob("*/*")):
        if path.suffix.lower() in kinds and not path.name.startswith("."):
            found[path.parent.name, path.stem].append(str(path))
    return found


def _fault(key: tuple[str, str], sounds: Found, pictures: Found, official: dict[str, int]) -> str:
    """Say why the files of one class and stem make no pair, or ""."""
    name, stem = key
    match = STEM.fullmatch(stem)
    for what, found in (("sound", sounds), ("image", pictures)):
        if len(found.get(key, ())) != 1:
            return f"has {len(found.get(key, ()))} files as its {what}"
    if match is None or stem not in official:
        return "is not a slice of UrbanSound8K"
    if CLASSES[int(match[2])] != name:
        return f"is a slice of {CLASSES[int(match[2])]}, not of {name}"
    return ""


def _relative(files: Found, stem: str, found: Slice, raw: Path) -> str:
    return Path(files[CLASSES[found.label], stem][0]).relative_to(raw).as_posix()
