"""The classes and their counts by split: nothing lost, whole on 80 columns, faults at a glance."""

from collections import Counter

import pytest
from rich.cells import cell_len

from pipelines.cache import class_counts
from pipelines.clips.clips import SPLITS, Clip
from pipelines.errors import DataError


def clips_of(**counts):
    """Make clips: label -> (train, validation, test)."""
    return [
        Clip(f"{label}-{split}-{i}", split, int(label[1:]), "", "a", "b")
        for label, of_split in counts.items()
        for split, n in zip(SPLITS, of_split, strict=True)
        for i in range(n)
    ]


def test_every_clip_is_counted_in_its_class_and_split():
    rows = class_counts.of_clips(clips_of(c0=(3, 1, 2), c1=(5, 0, 4)), ["dog", "rain"])
    assert rows == [
        {"class": "dog", "train": 3, "validation": 1, "test": 2},
        {"class": "rain", "train": 5, "validation": 0, "test": 4},
    ]
    head, *body = class_counts.lines(rows)
    assert head.split() == ["class", *SPLITS]
    assert [line.split() for line in body] == [
        ["dog", "3", "1", "2"],
        ["rain", "5", "0", "4"],
        ["all", "2", "8", "1", "6"],
    ]


@pytest.mark.parametrize("lost", [(0, 1, 4), (0, 0, 2), (0, 0, 0)])
def test_a_class_that_training_lacks_stops_with_its_name(lost):
    clips = clips_of(c0=(3, 1, 2), c1=lost)
    with pytest.raises(DataError, match=r"training of class rain \(validation") as caught:
        class_counts.of_clips(clips, ["dog", "rain"])
    assert "dog" not in caught.value.message and caught.value.hint


NAMES = ["dog", "x" * 300, "雨の音" * 40, "tab\there", "cafe\u0301 " * 30, "e\u0301"]


@pytest.mark.parametrize("count", [2, 20, 21, 5000])
def test_it_fits_80_columns_with_a_time_before_it_whatever_the_names(count):
    names = [f"{NAMES[i % len(NAMES)]} {i}" for i in range(count)]
    rows = [
        {"class": name, "train": 1_000_000 + i, "validation": i, "test": 10_000 - i}
        for i, name in enumerate(names)
    ]
    said = class_counts.lines(rows)
    assert len(said) <= 23
    for line in said:
        assert cell_len(line) <= 60 and line.isprintable()
    assert len({cell_len(line) for line in said[: min(count, 20) + 2]}) == 1  # columns stand
    if count <= 20:
        assert len({line.rsplit("  ", 3)[0] for line in said}) == len(said)  # told apart


def test_of_many_classes_those_with_the_fewest_clips_are_shown_and_all_are_summed():
    rows = [{"class": f"c{i}", "train": 50, "validation": 5, "test": 9} for i in range(200)]
    rows[150]["train"], rows[30]["test"] = 1, 0
    said = class_counts.lines(rows)
    shown = {line.split()[0]: line.split()[1:] for line in said}
    assert shown["c150"] == ["1", "5", "9"] and shown["c30"] == ["50", "5", "0"]
    assert "20 classes with the fewest clips" in said[-1]
    totals = Counter({split: sum(row[split] for row in rows) for split in SPLITS})
    assert said[-2].split() == ["all", "200", *(str(totals[split]) for split in SPLITS)]
