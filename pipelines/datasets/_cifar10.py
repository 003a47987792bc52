"""Classes, class folders and splits, shared by the two forms of CIFAR-10 with sound."""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from pipelines.clips.protocols import chosen, chosen_groups
from pipelines.clips.walk import visible
from pipelines.errors import DataError

CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
SOUNDS = {".wav", ".flac", ".ogg"}
TEST_SHARE, VALIDATION_SHARE = 1 / 6, 0.1  # 10,000 of 60,000


def recording_of(stem: str) -> str:
    """Return the recording that a sound was cut from: its stem up to the first "-" or "_".

    Slices of Freesound and of ESC-50 begin with the recording's number; a stem without either
    sign is a recording of its own.
    """
    return stem.split("-")[0].split("_")[0]


def split(labels: Mapping[str, int], groups: Mapping[str, str] | None, seed: int) -> dict[str, str]:
    """Return the split of each clip: a sixth for test, a tenth of the rest for validation.

    labels, groups: by clip. Clips of each class are drawn, or whole groups if there are groups.
    """

    def part(names: Mapping[str, int], share: float, purpose: str) -> set[str]:
        if groups is None:
            return chosen(names, share, seed, purpose)
        return chosen_groups({n: groups[n] for n in names}, names, share, seed, purpose)

    test = part(labels, TEST_SHARE, "test")
    rest = {name: label for name, label in labels.items() if name not in test}
    validation = part(rest, VALIDATION_SHARE, "validation")
    return {
        name: "test" if name in test else "validation" if name in validation else "train"
        for name in labels
    }


def class_files(folder: Path, kinds: set[str]) -> dict[tuple[str, str], list[Path]]:
    """Return the files of the class folders by class and stem. Raises DataError for others."""
    classes = {path.name for path in visible(folder) if path.is_dir()}
    if classes != set(CLASSES):
        raise DataError(
            f"{folder}: {', '.join(sorted(classes ^ set(CLASSES)))} missing or not a class of "
            "CIFAR-10",
            f"the class folders are {', '.join(CLASSES)}",
        )
    by_stem: dict[tuple[str, str], list[Path]] = defaultdict(list)
    for name in CLASSES:
        for path in sorted(visible(folder / name)):
            if path.suffix.lower() in kinds and not path.is_dir():
                by_stem[name, path.stem].append(path)
    return by_stem
