"""`avsnn sweep` and `avsnn compare`, as typed: runs are shared, kept, tested and written down."""

import csv
import io
import json
import shutil

import pytest

from pipelines.disk import store
from pipelines.errors import DataError
from pipelines.runs import train_stage

from .conftest import SMALL, Started, in_process, own_process

SWEPT = (
    "sweep",
    "quickstart",
    "--set",
    "train.epochs=1,2",
    "--set",
    "model.width=16",
    "--set",
    "model.heads=2",
    "--seeds",
    "2",
    "--no-noise",
)


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """A home in which a sweep of 2 x 2 runs was done, and what it said."""
    home = tmp_path_factory.mktemp("swept") / "home"
    done = own_process(home, *SWEPT, "--json")
    assert done.code == 0, done.err
    return home, json.loads(done.out)


def test_a_sweep_makes_ordinary_runs_and_their_table(swept):
    home, said = swept
    runs = sorted(path.name for path in (home / "runs").iterdir() if path.is_dir())
    assert len(runs) == 4 == len(list((home / "runs").glob("*/eval.json")))
    assert sorted(run for row in said["rows"] for run in row["runs"]) == runs
    assert {row["system"] for row in said["rows"]} == {
        "quickstart (train.epochs=1)",
        "quickstart (train.epochs=2)",
    }
    assert all(row["seeds"] == [0, 1] and row["n"] == 269 for row in said["rows"])
    assert said["rows"][0]["mcnemar_p"] is None and 0 <= said["rows"][1]["mcnemar_p"] <= 1
    for row in said["rows"]:
        found = [json.loads((home / "runs" / run / "eval.json").read_text()) for run in row["runs"]]
        assert row["accuracies"] == [evaluation["accuracy"] for evaluation in found]


def test_what_is_done_is_not_done_again(swept):
    home, said = swept
    before = {path: path.stat().st_mtime_ns for path in home.glob("runs/*/eval.json")}
    again = in_process(home, *SWEPT, "--json")
    assert again.code == 0 and json.loads(again.out) == said
    assert {path: path.stat().st_mtime_ns for path in home.glob("runs/*/eval.json")} == before


def test_a_dry_run_says_what_is_there(swept):
    home, _ = swept
    said = in_process(home, *SWEPT, "--dry-run", "--json")
    assert [row["state"] for row in json.loads(said.out)] == ["evaluated"] * 4
    more = in_process(home, *SWEPT, "--set", "model.alpha=1,2", "--dry-run", "--json")
    assert {row["state"] for row in json.loads(more.out)} == {"to do"}


def test_a_comparison_is_written_in_every_format(swept):
    home, said = swept
    name = said["sweep"][:-4]
    text = in_process(home, "compare", name).out
    assert "quickstart (train.epochs=2)" in text and "±" in text
    assert "digits-av (stratified), test n = 269, best-validation, seeds 0, 1" in text
    assert max(map(len, text.splitlines())) <= 110
    markdown = in_process(home, "compare", name, "--format", "markdown").out.splitlines()
    assert markdown[0].startswith("| system | accuracy % |") and markdown[1].startswith("|---|")
    rows = list(
        csv.DictReader(io.StringIO(in_process(home, "compare", name, "--format", "csv").out))
    )
    assert len(rows) == 2 and rows[0]["n"] == "269"
    latex = in_process(home, "compare", name, "--format", "latex").out
    assert r"\begin{tabular}" in latex and r"accuracy \%" in latex and r"$\pm$" in latex
    run = said["rows"][0]["runs"][0]
    alone = json.loads(in_process(home, "compare", run, "--json").out)
    assert alone[0]["sd"] is None and len(alone[0]["wilson"]) == 2


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("compare", "nothing"), 4, "no run 'nothing'"),
        (("compare", "quickstart", "--format", "html"), 2, "no such format"),
        (("sweep", "quickstart", "--set", "model.alpha=1,x"), 3, "alpha"),
        (("sweep", "quickstart", "--set", "model.alpha"), 2, "not of the form"),
        (("sweep", "nothing"), 3, "no recipe"),
        (("sweep", "quickstart", "--seeds", "0"), 2, "seeds"),
        (("sweep", "quickstart", "--device", "gpu"), 2, "no such device"),
        (("sweep", "quickstart", "--name", "../up"), 2, "not a name"),
        (("sweep", "quickstart", "--name", "../up", "--dry-run"), 2, "not a name"),
    ],
)
def test_a_users_error_is_one_line(swept, arguments, code, words):
    said = in_process(swept[0], *arguments)
    assert said.code == code and words in said.err and "Traceback" not in said.err


@pytest.mark.parametrize("verb", ["compare", "report"])
@pytest.mark.parametrize(
    "name",
    ["*", "a**", "[", "?", "", ".", "/", "x" * 252, "x" * 300, "x" * 300 + ".json"],
    ids=["star", "stars", "bracket", "mark", "empty", "dot", "root", "252", "300", "300-json"],
)
def test_a_name_that_can_be_no_runs_is_one_line(swept, verb, name):
    said = in_process(swept[0], verb, name)
    assert said.code == 4 and said.out == ""
    assert said.err.startswith("error: no run ") and len(said.err.splitlines()) == 2


def test_a_run_that_fails_does_not_stop_the_others(home, monkeypatch):
    """At 2 a.m. one run of a sweep has no data: the rest is there in the morning."""
    train = train_stage.train

    def sometimes(recipe, *arguments, **more):
        if recipe.seed == 0:
            raise DataError("the disk lost a file", "")
        return train(recipe, *arguments, **more)

    monkeypatch.setattr(train_stage, "train", sometimes)
    said = in_process(home, "sweep", *SMALL, "--seeds", "2", "--no-noise")
    assert said.code == 4
    assert "1 of 2 runs are not done" in said.err and "the disk lost a file" in said.err
    assert len(list(home.glob("runs/*/eval.json"))) == 1
    found = in_process(home, "compare", next((home / "sweeps").glob("*.json")).stem, "--json")
    assert json.loads(found.out)[0]["seeds"] == [1]


def test_several_devices_share_one_sweep(home):
    """Two processes on the CPU take what the other has not locked; every run is done once."""
    arguments = ("sweep", *SMALL, "--seeds", "3", "--no-noise", "--device", "cpu,cpu", "--json")
    done = own_process(home, *arguments)
    assert done.code == 0, done.err
    assert json.loads(done.out)["rows"][0]["seeds"] == [0, 1, 2]


@pytest.mark.parametrize("devices", ["cuda:0,cuda:1", "cpu,cuda:99", "cuda:99"])
def test_a_device_that_is_not_there_ends_a_sweep_before_anything_starts(home, devices):
    said = own_process(home, "sweep", *SMALL, "--device", devices, CUDA_VISIBLE_DEVICES="")
    assert said.code == 5 and said.first.startswith("error: no device cuda:")
    assert not home.exists() or not list(home.iterdir())


def test_a_name_that_other_runs_have_is_refused_with_and_without_a_dry_run(swept, home):
    shutil.copytree(swept[0] / "sweeps", home / "sweeps")
    (name,) = [path.stem for path in (home / "sweeps").iterdir()]
    for more in ((), ("--dry-run",)):
        said = in_process(home, "sweep", *SMALL, "--name", name, *more)
        assert said.code == 2 and "a sweep of other runs has it" in said.first


def test_two_equal_sweeps_at_once_both_end_with_all_runs_done(home):
    both = [Started(home, "sweep", *SMALL, "--seeds", "2", "--no-noise") for _ in range(2)]
    assert [process.end() for process in both] == [0, 0], [process.err for process in both]
    assert len(list(home.glob("runs/*/eval.json"))) == 2
    done = [process.err.count("train: done") for process in both]
    assert sum(done) == 2  # each run was trained once


def test_a_run_that_another_process_has_is_waited_for(swept):
    home, said = swept
    run = said["rows"][0]["runs"][0]
    (home / "runs" / run / "eval.json").unlink()  # what is done needs no lock
    with store.lock(home / "runs" / run, what="it"):
        process = Started(home, *SWEPT)
        process.wait_until(lambda: "sweep: waiting" in process.err)
        assert f"sweep: waiting, run {run} is being worked on" in process.err
        assert process.err.count("evaluate: hit") == 3  # the others did not wait
    assert process.end() == 0
    assert process.err.count("evaluate: hit") == 3
    assert (home / "runs" / run / "eval.json").exists()
