"""A pattern of groups that nobody can search for is one line, in seconds."""

import time

import pytest

from pipelines.datasets import _folder_groups as groups
from pipelines.errors import DataError

NAMES = [f"dog/{'a' * 40}_{i}" for i in range(3)]


def test_the_first_group_of_a_pattern_is_the_recording():
    assert groups.recordings(["dog/a_1", "rain/bé_2"], "^(.+)_[0-9]+$") == {
        "dog/a_1": "a",
        "rain/bé_2": "bé",
    }
    assert groups.recordings(NAMES, None) == dict.fromkeys(NAMES, "")


def test_a_pattern_that_would_take_for_ever_is_ended(monkeypatch):
    monkeypatch.setattr(groups, "LONGEST_S", 1.0)
    begun = time.monotonic()
    with pytest.raises(DataError, match=r"took more than 1 s for 3 names"):
        groups.recordings(NAMES, r"^((a+)+)$")
    assert time.monotonic() - begun < 20


@pytest.mark.parametrize(
    ("pattern", "word"),
    [
        ("(a{60000}){60000}", "does not match"),
        ("(a{4294967296})", "too large"),
        ("(" * 5000 + "a" + ")" * 5000, "recursion"),
        ("(" * 500 + "a" + ")" * 500, "recursion"),
        ("(\ud800)", "does not match"),
        ("(?:a|(b))", "does not match"),
    ],
)
def test_huge_and_odd_patterns_are_one_line(pattern, word):
    with pytest.raises(DataError, match=word) as caught:
        groups.recordings(NAMES, pattern)
    assert "data.group_pattern" in caught.value.message and len(caught.value.message) < 300


def test_five_hundred_groups_side_by_side_are_a_pattern():
    assert groups.recordings(["dog/abc"], "(a)" + "(x)?" * 499) == {"dog/abc": "a"}
