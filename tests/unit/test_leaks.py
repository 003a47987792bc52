"""The leak audit counts what a person would count with pencil and paper."""

import random

import pytest

from pipelines.clips import leaks
from pipelines.clips.clips import Clip


def clip(name, split, group="", *, speaker="", audio="", visual="", span=(None, None)):
    return Clip(name, split, 0, group, audio, visual, speaker, *span)


def test_each_kind_of_leak_is_counted_over_test_clips():
    found = leaks.audit(
        [
            clip("a", "train", "r1", speaker="ann", audio="1.wav", visual="x.png"),
            clip("b", "validation", "r2", speaker="bob", audio="2.wav", visual="y.png"),
            clip("c", "test", "r1", speaker="bob", audio="2.wav", visual="z.png"),
            clip("d", "test", "r3", speaker="bob", audio="4.wav", visual="x.png"),
            clip("e", "test", "r3", speaker="cid", audio="5.wav", visual="x.png"),
        ]
    )
    assert found["test"] == 3
    assert found["shared"] == {"group": 1, "speaker": 2, "audio": 1, "visual": 2}
    assert found["values_shared"] == {"group": 1, "speaker": 1, "audio": 1, "visual": 1}
    assert "overlapping_in_time" not in found
    said = "\n".join(leaks.sentences(found))
    assert "2 of 3 test clips (66.7%) share 1 speaker with training" in said


def test_an_absent_modality_is_not_a_shared_one():
    found = leaks.audit([clip("a", "train", "g"), clip("b", "test", "g")])
    assert found["shared"] == {"group": 1}


@pytest.mark.parametrize(
    ("learned", "tested", "overlap"),
    [
        ((0, 4), (4, 8), 0),  # touching is not overlapping
        ((0, 4), (3.9, 8), 1),
        ((0, 4), (1, 2), 1),
        ((1, 2), (0, 4), 1),
        ((5, 9), (0, 5), 0),
        ((5, 9), (0, 5.1), 1),
    ],
)
def test_spans_overlap_only_inside_one_recording(learned, tested, overlap):
    clips = [clip("a", "train", "r", span=learned), clip("b", "test", "r", span=tested)]
    assert leaks.audit(clips)["overlapping_in_time"] == overlap
    apart = [clip("a", "train", "q", span=learned), clip("b", "test", "r", span=tested)]
    assert leaks.audit(apart)["overlapping_in_time"] == 0


def test_overlaps_are_those_of_the_plain_double_loop():
    draw = random.Random(7)
    clips = []
    for i in range(300):
        start = draw.uniform(0, 60)
        span = (start, start + draw.choice([0.5, 4, 20]))
        clips.append(clip(str(i), draw.choice(["train", "test"]), f"r{i % 9}", span=span))
    by_hand = sum(
        any(
            a.split == "train"
            and a.group == b.group
            and a.start_s < b.end_s
            and b.start_s < a.end_s
            for a in clips
        )
        for b in clips
        if b.split == "test"
    )
    assert leaks.audit(clips)["overlapping_in_time"] == by_hand


def test_without_groups_it_is_not_known_whether_recordings_are_shared():
    """Ten recordings of four parts, the first two whole on the test side."""
    clips = [clip(f"{i}", "test" if i % 4 == 0 or i < 8 else "train") for i in range(40)]
    named = [clip(f"{i}", c.split, f"r{i // 4}") for i, c in enumerate(clips)]
    by_hand = sum(
        c.split == "test" and any(o.split == "train" and o.group == c.group for o in named)
        for c in named
    )
    found = leaks.audit(named)
    assert found["shared"]["group"] == by_hand == 8 and "without_group" not in found
    found = leaks.audit(clips)
    assert "group" not in found["shared"] and found["without_group"] == 16
    (line,) = leaks.sentences(found, "set data.group_pattern")
    assert "not known" in line and "16 of 16" in line and line.endswith("set data.group_pattern")
    assert "does not name" in leaks.sentences(found)[0]


def test_the_clips_of_which_alone_no_group_is_known_are_counted():
    clips = [clip("a", "train", "r1"), clip("b", "test", "r1"), clip("c", "test")]
    found = leaks.audit(clips)
    assert found["shared"] == {"group": 1} and found["without_group"] == 1
    assert "1 of 2 test clips share" in leaks.sentences(found)[0]
    nothing_learned_is_named = leaks.audit([clip("a", "train"), clip("b", "test", "r1")])
    assert nothing_learned_is_named["without_group"] == 1
