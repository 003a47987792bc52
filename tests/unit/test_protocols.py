"""Splits: the same on every machine, of the size asked for, and no group on two sides."""

import hashlib
import json
import random
import subprocess
import sys
from collections import Counter

import pytest

from pipelines.clips.protocols import chosen, chosen_groups, seeded_order

LABELS = {f"clip-{i:04d}": i % 7 for i in range(1000)}
GROUPS = {name: f"g{int(name[5:]) // 9}" for name in LABELS}


def test_the_order_is_that_of_the_hash_written_down():
    names = ["b", "a", "c"]
    by_hand = sorted(names, key=lambda n: hashlib.sha256(f"3/test/{n}".encode()).hexdigest())
    assert seeded_order(names, 3, "test") == by_hand


def test_the_order_depends_on_seed_and_purpose_and_on_nothing_else():
    names = list(LABELS)
    shuffled = random.Random(1).sample(names, len(names))
    assert seeded_order(names, 0, "test") == seeded_order(shuffled, 0, "test")
    orders = [seeded_order(names, seed, what) for seed in (0, 1) for what in ("test", "validation")]
    assert len({json.dumps(order) for order in orders}) == 4
    assert all(sorted(order) == sorted(names) for order in orders)


def test_another_process_with_another_hash_seed_chooses_the_same():
    code = (
        "from pipelines.clips.protocols import chosen;"
        "print(sorted(chosen({f'clip-{i:04d}': i % 7 for i in range(1000)}, 0.3, 5, 'test')))"
    )
    found = [
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed, "PATH": ""},
        ).stdout
        for seed in ("1", "2")
    ]
    assert found[0] == found[1] == f"{sorted(chosen(LABELS, 0.3, 5, 'test'))}\n"


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.5, 1.0])
def test_each_class_gives_its_share(share):
    found = chosen(LABELS, share, 0, "test")
    of_class, taken = Counter(LABELS.values()), Counter(LABELS[name] for name in found)
    assert {c: taken[c] for c in of_class} == {c: round(share * n) for c, n in of_class.items()}


def test_a_new_clip_moves_no_other_clip_but_at_the_edge():
    before = chosen(LABELS, 0.3, 0, "test")
    after = chosen({**LABELS, "clip-9999": 3}, 0.3, 0, "test")
    assert len(before ^ after) <= 2


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5])
@pytest.mark.parametrize("seed", range(3))
def test_no_group_is_on_two_sides_and_the_share_is_near(share, seed):
    found = chosen_groups(GROUPS, LABELS, share, seed, "test")
    inside = {GROUPS[name] for name in found}
    assert not inside & {GROUPS[name] for name in LABELS if name not in found}
    assert abs(len(found) - share * len(LABELS)) < 7 * 5  # half a group of nine in each class


def test_one_huge_group_is_left_out_rather_than_taken_whole():
    groups = {f"c{i}": "huge" if i < 90 else f"g{i}" for i in range(100)}
    found = chosen_groups(groups, dict.fromkeys(groups, 0), 0.1, 0, "test")
    assert len(found) == 10 and not any(groups[name] == "huge" for name in found)


def test_a_small_class_is_on_every_side():
    """A tenth of five is none; a class of three or more gives one all the same."""
    labels = {f"{label}-{i}": label for label, n in enumerate((2, 3, 5)) for i in range(n)}
    found = Counter(labels[name] for name in chosen(labels, 0.1, 0, "test"))
    assert found == {1: 1, 2: 1}
    found = Counter(
        labels[n]
        for n in chosen_groups(dict(zip(labels, labels, strict=True)), labels, 0.1, 0, "test")
    )
    assert found == {1: 1, 2: 1}
