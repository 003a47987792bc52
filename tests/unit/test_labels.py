"""Labels of figures: never two the same for different texts, and what differs comes first."""

import pytest

from pipelines.figures.labels import common_start, wrap, wrap_apart

LONG = "the same words at the beginning of every one of these"


def test_labels_that_fit_are_the_texts():
    assert wrap_apart(["a b", "a c"], 20, 1) == ["a b", "a c"]
    assert wrap_apart([], 20, 1) == []


@pytest.mark.parametrize("ends", [("alpha=0.5", "alpha=1.5"), ("one", "two"), ("x", "x y")])
def test_texts_cut_to_the_same_begin_where_they_differ(ends):
    texts = [f"{LONG} {end}" for end in ends]
    assert wrap(texts[0], 12, 2) == wrap(texts[1], 12, 2)  # what would be drawn otherwise
    assert wrap_apart(texts, 12, 2) == [f"… {end}" for end in ends]


def test_texts_that_differ_too_late_are_numbered():
    texts = [f"{'x' * 50}{k}" for k in range(3)]
    labels = wrap_apart(["short", *texts], 12, 2)
    assert len(set(labels)) == 4 and labels[0] == "short"
    assert [label[:3] for label in labels[1:]] == ["(1)", "(2)", "(3)"]


def test_equal_texts_have_equal_labels():
    assert wrap_apart([LONG, LONG], 12, 2) == [wrap(LONG, 12, 2)] * 2


def test_a_common_start_is_the_longest():
    assert common_start(["abc", "abd"]) == "ab" and common_start(["ab", "abd"]) == "ab"
    assert common_start(["x", "y"]) == "" and common_start(["same"]) == "same"
