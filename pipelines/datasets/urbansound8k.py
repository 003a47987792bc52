"""UrbanSound8K: 8,732 slices of street sounds, alone or paired by class with a folder of images.

Salamon, Jacoby, Bello, ACM MM 2014. Slices of one Freesound recording overlap in time and are in
one official fold, with five exceptions: a random split puts most recordings into both parts.
"""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from pipelines.clips import in_place as own_files
from pipelines.clips.clips import Clip
from pipelines.clips.protocols import seeded_order
from pipelines.clips.walk import printable, visible
from pipelines.datasets._urbansound import CLASSES, Protocol, Slice, folds, split
from pipelines.datasets._urbansound_metadata import DOWNLOAD_HINT, read_metadata
from pipelines.errors import DataError
from pipelines.readers.pictures import read_picture
from pipelines.readers.sound import read_wav

VERSION = 2
IN_PLACE = ("images",)
CSV = "UrbanSound8K/metadata/UrbanSound8K.csv"
PICTURES = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}


def pairs(
    raw: Path,
    *,
    protocol: Annotated[
        Protocol,
        Field(
            description="How test and validation clips are split off; the data set's page "
            "explains each protocol."
        ),
    ] = "official-folds",
    seed: Annotated[int, Field(ge=0, description="Seed of the split and of the pairing.")] = 0,
    test_fold: Annotated[
        int, Field(ge=1, le=10, description="Fold that official-folds tests on.")
    ] = 10,
    images: Annotated[
        str | None,
        Field(
            description="Folder with a folder of images for each class, paired with sounds "
            "by class; null is sound alone."
        ),
    ] = None,
    images_by: Annotated[
        Literal["name", "order"],
        Field(
            description="How image folders match classes: name by their names, order as "
            "stand-ins in order of name."
        ),
    ] = "name",
    present_only: Annotated[
        bool, Field(description="Use only the slices whose files are there, for a part of the set.")
    ] = False,
) -> list[Clip]:
    """List the slices, each with an image of its class if there is a folder of images.

    No image is in two splits; where there are fewer images than slices they repeat within a split.
    A slice without its file is excluded. Raises DataError for damaged metadata or an image folder
    that does not fit the classes.
    """
    rows = {Path(row["slice_file_name"]).stem: row for row in read_metadata(raw / CSV)}
    there = _stems_present(raw)
    if not there:
        raise DataError(f"no sounds in {raw / 'UrbanSound8K/audio'}", DOWNLOAD_HINT)
    if present_only:
        rows = {stem: row for stem, row in rows.items() if f"fold{row['fold']}/{stem}" in there}
    slices = {
        stem: Slice(row["fsID"], int(row["fold"]), int(row["classID"]))
        for stem, row in rows.items()
    }
    splits = split(slices, protocol, seed, test_fold)
    # images follow the split of the sounds, never the other way: without images it is the same
    pictures = _pictures(images, images_by, slices, splits, seed) if images else {}
    # an image whose name is not UTF-8 cannot be in the manifest: it is a clip of its own, excluded
    unnamed = [
        Clip(printable(str(path)), "train", label, "", "", "", excluded=fault)
        for label, stock in enumerate(_stocks(images, images_by).values() if images else ())
        for path in stock
        if (fault := own_files.name_fault(path))
    ]
    return unnamed + [
        Clip(
            stem,
            splits[stem],
            slices[stem].label,
            row["fsID"],
            f"UrbanSound8K/audio/fold{row['fold']}/{stem}.wav",
            pictures.get(stem, ""),
            start_s=float(row["start"]),
            end_s=float(row["end"]),
            excluded="" if f"fold{row['fold']}/{stem}" in there else "its file is missing",
        )
        for stem, row in sorted(rows.items())
    ]


def present(raw: Path, *, present_only: bool) -> list[str] | None:
    """Return the sounds that are on disk if the clips are made of those alone, else None.

    None also if all sounds are there, and before the download, which brings all.
    """
    if not (present_only and (raw / "UrbanSound8K").exists()):
        return None
    there = _stems_present(raw)
    # None for a whole set, so that it has one key with and without the setting
    lacking = {f"fold{fold}/{stem}" for stem, fold in folds().items()} - there
    return sorted(there) if lacking else None


def audio(raw: Path, source: str) -> tuple[np.ndarray, int]:
    """Read a slice: (channels, samples) float32, at most 4 s, of whatever rate it has."""
    return read_wav(raw / source)


def image(raw: Path, source: str) -> np.ndarray:
    """Read an image by its absolute path: (H, W, 3) uint8."""
    return read_picture(Path(source))


def _stems_present(raw: Path) -> set[str]:
    """Return fold and stem of every sound on disk: fold1/101415-3-0-2."""
    sounds = (raw / "UrbanSound8K/audio").glob("*/*.wav")
    return {f"{path.parent.name}/{path.stem}" for path in sounds}


def in_place(
    raw: Path,
    *,
    images: str | None = None,
    images_by: Literal["name", "order"] = "name",
) -> own_files.Own:
    """Return the hashes of the images that are read in the user's folder."""
    if not images:
        return own_files.Own({}, {})
    stocks = _stocks(images, images_by)
    files = [path for stock in stocks.values() for path in stock]
    return own_files.of_files(own_files.user_folder(images, "images"), files)


def _stocks(images: str, by: str) -> dict[Path, list[Path]]:
    """Return the images of each class by its folder, in the order of the labels.

    Raises DataError if the folders are not ten, or not named after the classes as `by` asks.
    """
    folder = own_files.user_folder(images, "images")
    folders = sorted(path.name for path in visible(folder) if path.is_dir())
    names = sorted(CLASSES) if by == "name" else folders
    if folders != names or len(folders) != len(CLASSES):
        raise DataError(
            f"{folder} has the class folders {', '.join(folders) or 'none'}, not "
            "UrbanSound8K's ten",
            "rename them, or set data.images_by: order to let ten others stand in",
        )
    return {
        folder / name: [
            path
            for path in sorted(visible(folder / name))
            if path.suffix.lower() in PICTURES and not path.is_dir()
        ]
        for name in (CLASSES if by == "name" else names)
    }


def _pictures(
    images: str, by: str, slices: Mapping[str, Slice], splits: Mapping[str, str], seed: int
) -> dict[str, str]:
    """Return an image of its class for each slice: images are split first, as the slices are."""
    pictures: dict[str, str] = {}
    for label, (folder, paths) in enumerate(_stocks(images, by).items()):
        stock = [str(path) for path in paths if not own_files.name_fault(path)]
        members = defaultdict(list)
        for stem in seeded_order(
            (stem for stem, entry in slices.items() if entry.label == label), seed, "images"
        ):
            members[splits[stem]].append(stem)
        pictures |= _dealt(seeded_order(stock, seed, "images"), members, folder)
    return pictures


def _dealt(stock: list[str], members: Mapping[str, list[str]], where: Path) -> dict[str, str]:
    """Return an image for each slice of a class. members: the slices of each split.

    Each split has a share of the images, which its slices use in turn. Raises DataError for fewer
    images than splits.
    """
    if len(stock) < len(members):
        raise DataError(f"{where} has {len(stock)} images for {len(members)} splits", "add images")
    total = sum(map(len, members.values()))
    pictures: dict[str, str] = {}
    start, left = 0, len(members)
    for split_name in sorted(members):
        stems = members[split_name]
        left -= 1
        # at least one image for this split, and one for each split that is left
        share = max(1, round(len(stock) * len(stems) / total))
        end = len(stock) - left if left == 0 else min(start + share, len(stock) - left)
        part = stock[start:end]
        pictures |= {stem: part[i % len(part)] for i, stem in enumerate(stems)}
        start = end
    return pictures
