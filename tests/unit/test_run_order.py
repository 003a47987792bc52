"""The run trained last is the one with the highest number, whatever the clock was set to."""

import json
import os

import pytest

from pipelines.disk import store
from pipelines.results import run_order

LONG_AGO, LONG_HENCE = 10**9, 4 * 10**9


def run(name: str, time_s: float, **content: object) -> None:
    path = store.home() / "runs" / name / "trained.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(content))
    os.utime(path, (time_s, time_s))


def names() -> list[str]:
    return [folder.name for folder in run_order.trained()]


def test_the_numbers_decide_and_not_the_times() -> None:
    assert names() == [] and run_order.following() == 1
    run("second", LONG_HENCE, order=2)
    run("third", LONG_AGO, order=3)
    run("first", LONG_HENCE + 1, order=1)
    assert names() == ["first", "second", "third"] and run_order.following() == 4


def test_runs_without_a_number_come_first_by_the_times_of_their_files() -> None:
    run("numbered", LONG_AGO, order=1)
    run("newer", LONG_HENCE)
    run("older", LONG_HENCE - 1)
    assert names() == ["older", "newer", "numbered"] and run_order.following() == 2


@pytest.mark.parametrize("content", ["", "[]", "{", "null", '{"order": "9"}', '{"order": 1e9}'])
def test_a_number_that_is_not_readable_is_none(content: str) -> None:
    run("good", LONG_AGO, order=7)
    run("bad", LONG_HENCE)
    (store.home() / "runs" / "bad" / "trained.json").write_text(content)
    assert names() == ["bad", "good"] and run_order.following() == 8
