"""Read the split that the user's data bring: folders above the classes, or words in a table."""

from collections.abc import Sequence
from pathlib import Path

from pipelines.errors import DataError

SPLIT_WORDS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
    "eval": "test",
}
SHOWN = 5


def split_of(name: str) -> str:
    """Return the split that a name stands for, in upper or lower case; "" if it is none."""
    return SPLIT_WORDS.get(name.strip().casefold(), "")


def split_folders(root: Path, names: Sequence[str], holds_files: Sequence[str]) -> dict[str, str]:
    """Return the folders that are splits, each with its split; empty if none is.

    names: all folders in root. holds_files: those of them that hold sounds, images or videos and
    no folder. Raises DataError if other folders are beside the splits, or two are of one split.
    """
    splits = {name: split_of(name) for name in sorted(names) if split_of(name)}
    others = sorted(set(names) - splits.keys())
    # one folder of files among others is a class that happens to be called train or test
    if others and len(splits) == 1 and set(splits) <= set(holds_files):
        return {}
    if splits and others:
        more = f" and {len(others) - SHOWN} more" if len(others) > SHOWN else ""
        raise DataError(
            f"{root}: folders that are no split lie beside {', '.join(splits)}: "
            f"{', '.join(others[:SHOWN])}{more}",
            "either all are splits (train, validation, test) or none: move or rename the rest",
        )
    for split in splits.values():
        same = [name for name, own in splits.items() if own == split]
        if len(same) > 1:
            raise DataError(
                f"{root}: {' and '.join(same)} are both for {split}", "put them into one folder"
            )
    return splits
