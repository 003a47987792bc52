"""A recipe where a run is expected: the answer names the runs that the recipe has."""

import os

import pytest

from tests.cli.conftest import ROOT

VERBS = [
    "evaluate",
    "noise-eval",
    "energy",
    "explain",
    "export",
    "predict",
    "compare",
    "report",
    "evaluate --dry-run",
]


def begin(home, name, age_s, trained=True):
    """Make what a run's folder is known by, so many seconds old."""
    run = home / "runs" / name
    run.mkdir(parents=True)
    for file in ("recipe.yaml", "trained.json") if trained else ("recipe.yaml",):
        (run / file).write_text("")
        os.utime(run / file, (1e9 - age_s, 1e9 - age_s))


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A recipe of the user's in the folder in which the command is typed."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text((ROOT / "recipes/quickstart.yaml").read_text())
    return "mine.yaml"


@pytest.mark.parametrize("verb", VERBS)
def test_a_recipe_is_answered_with_its_runs_the_newest_first(verb, mine, home, avsnn):
    for age, name in enumerate(["mine-0b", "mine-0c", "mine-0a"]):
        begin(home, name, age)
    begin(home, "mine-2-0a", 0)  # of mine-2.yaml
    begin(home, "yours-0a", 0)
    said = avsnn(*verb.split(), mine)
    assert said.code == 2 and said.out == ""
    assert said.first == (
        "error: 'mine.yaml' is a recipe, and this takes a run; its runs, the newest first: "
        "mine-0b, mine-0c, mine-0a"
    )
    assert said.err.splitlines()[1:] == [
        "hint:  name one of them, or none for the run trained last"
    ]


def test_five_runs_are_named_and_the_others_counted(mine, home, avsnn):
    for age in range(7):
        begin(home, f"mine-{age:012x}", 100 - age, trained=age != 6)
    first = avsnn("evaluate", mine).first
    names = [f"mine-{age:012x}" for age in (6, 5, 4, 3, 2)]
    names[0] += " (not trained)"
    assert first.endswith(f"the newest first: {', '.join(names)} and 2 more")


def test_a_recipe_without_a_run_is_answered_with_how_to_get_one(mine, avsnn):
    said = avsnn("evaluate", mine)
    assert (said.code, said.first) == (
        2,
        "error: 'mine.yaml' is a recipe, and this takes a run: it has none yet",
    )
    assert said.err.splitlines()[1] == "hint:  avsnn train mine.yaml makes one"


def test_a_bundled_recipe_is_known_by_its_name(home, avsnn):
    begin(home, "crema_d-s_cmrl-0a", 0)
    said = avsnn("explain", "crema_d/s_cmrl")
    assert said.code == 2 and said.first.endswith("the newest first: crema_d-s_cmrl-0a")


def test_the_copy_in_a_run_leads_to_that_run(trained, avsnn):
    said = avsnn("evaluate", trained / "recipe.yaml")
    assert said.code == 2 and said.first.endswith(f"the newest first: {trained.name}")


def test_what_is_neither_run_nor_recipe_is_still_no_run(avsnn):
    said = avsnn("evaluate", "not-there.yaml")
    assert said.code == 4 and said.first == "error: no run 'not-there.yaml'"
