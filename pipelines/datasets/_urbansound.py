"""Classes, names of slices, folds and protocols, shared by the two forms of UrbanSound8K."""

import re
from collections import defaultdict
from collections.abc import Mapping
from functools import lru_cache
from typing import Literal, NamedTuple

from pipelines import registry
from pipelines.clips.protocols import chosen, chosen_groups

Protocol = Literal["paper-7:3", "authors-order", "official-folds", "grouped-fsid"]

CLASSES = (
    "air_conditioner",
    "car_horn",
    "children_playing",
    "dog_bark",
    "drilling",
    "engine_idling",
    "gun_shot",
    "jackhammer",
    "siren",
    "street_music",
)
# <fsID>-<class>-<occurrence>-<slice>
STEM = re.compile(r"([0-9]+)-([0-9])-([0-9]+)-([0-9]+)")
TEST_SHARE, VALIDATION_SHARE = 0.3, 0.1
FOLDS = 10


class Slice(NamedTuple):
    """One slice of a Freesound recording: its recording's fsID, its official fold, its class."""

    recording: str
    fold: int
    label: int


@lru_cache(1)
def folds() -> dict[str, int]:
    """Return the official fold of each of the 8,732 slices, by stem, from the index of files."""
    index = registry.bundled("data_manifests") / "urbansound8k.tsv"
    paths = (line.split("\t", 1)[0] for line in index.read_text(encoding="utf-8").splitlines())
    matches = (re.fullmatch(r"audio/fold([0-9]+)/(.+)\.wav", path) for path in paths)
    return {match[2]: int(match[1]) for match in matches if match}


def split(
    slices: Mapping[str, Slice], protocol: Protocol, seed: int, test_fold: int
) -> dict[str, str]:
    """Return the split of each slice by its stem. slices: by stem.

    paper-7:3: 30 % of each class for test, by seed. authors-order: the first 70 % of each class in
    the order of file names for training. official-folds: a fold for test, the next one for
    validation. grouped-fsid: about 30 % for test, no recording in two splits. Without
    folds, validation is a tenth of training: of the slices, or of the recordings for grouped-fsid.
    """
    labels = {stem: entry.label for stem, entry in slices.items()}
    groups = {stem: entry.recording for stem, entry in slices.items()}
    if protocol == "official-folds":
        # the fold after the last is the first
        next_fold = test_fold % FOLDS + 1
        sides = {test_fold: "test", next_fold: "validation"}
        return {stem: sides.get(entry.fold, "train") for stem, entry in slices.items()}
    if protocol == "paper-7:3":
        test = chosen(labels, TEST_SHARE, seed, "test")
    elif protocol == "authors-order":
        test = _last_in_order(labels)
    else:
        test = chosen_groups(groups, labels, TEST_SHARE, seed, "test")
    rest = {stem: label for stem, label in labels.items() if stem not in test}
    if protocol == "grouped-fsid":
        validation = chosen_groups(
            {stem: groups[stem] for stem in rest}, rest, VALIDATION_SHARE, seed, "validation"
        )
    else:
        validation = chosen(rest, VALIDATION_SHARE, seed, "validation")
    return {
        stem: "test" if stem in test else "validation" if stem in validation else "train"
        for stem in slices
    }


def _last_in_order(labels: Mapping[str, int]) -> set[str]:
    """Return the last 30 % of each class in the order of file names."""
    # the authors take the order in which their file system lists the files, which is not published
    by_class = defaultdict(list)
    for stem in sorted(labels):
        by_class[labels[stem]].append(stem)
    return {
        stem for stems in by_class.values() for stem in stems[int((1 - TEST_SHARE) * len(stems)) :]
    }
