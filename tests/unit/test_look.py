"""A folder of the user's is looked at once a command, and no change of it is missed."""

import functools
import re
from collections import Counter

import pytest

from pipelines.cache import build, clips_build
from pipelines.clips.clips import read_clips
from pipelines.datasets import folder
from pipelines.disk import store
from pipelines.disk.look import anew, look, one_look
from pipelines.errors import DataError
from pipelines.plan import plan
from pipelines.recipe import recipe as recipes
from pipelines.runs import prepare_stage, result_stages, sweep, train_stage
from tests.e2e.test_many_clips import RECIPE, clips
from tests.e2e.test_resume import Quiet


@pytest.fixture
def mine(tmp_path):
    """The recipe of a folder of 60 pairs in ten classes."""
    path = tmp_path / "mine.yaml"
    path.write_text(RECIPE.format(path=clips(tmp_path / "data", 60)), encoding="utf-8")
    return path


def opened(mine, *settings):
    return recipes.load_recipe(mine, ("runtime.device=cpu", "data.validation_share=0.2", *settings))


def change(mine, name="class0/000000.wav"):
    """Replace a sound by another of the same length."""
    file = mine.with_name("data") / name
    file.write_bytes(file.read_bytes()[:-2] + b"\x07\x07")


@pytest.fixture
def looks(monkeypatch):
    """Count the looks at the folder."""
    counts = Counter()
    in_place = folder.in_place

    def counted(*arguments, **more):
        counts["folder"] += 1
        return in_place(*arguments, **more)

    monkeypatch.setattr(folder, "in_place", counted)
    return counts


def test_an_answer_stands_within_one_look_and_not_beyond():
    asked = []

    def question(name, *, more=0):
        asked.append(name)
        return len(asked), more

    assert [look(question, "a"), look(question, "a")] == [(1, 0), (2, 0)]
    with one_look():
        assert look(question, "a") == look(question, "a") == (3, 0)
        assert look(question, "b") == (4, 0) and look(question, "a", more=1) == (5, 1)
        with one_look():
            assert look(question, "a") == (3, 0)
        with anew():
            assert look(question, "a") == (6, 0)
        assert look(question, "a") == (3, 0)
    with one_look():
        assert look(question, "a") == (7, 0)


def test_an_error_is_no_answer():
    def question(answers):
        answers.append(1)
        if len(answers) == 1:
            raise DataError("not there", "")
        return len(answers)

    answers = []
    with one_look():
        with pytest.raises(DataError):
            look(question, answers)
        answers.clear()
        answers.append(0)
        assert look(question, answers) == 2


def test_training_looks_once_at_what_is_prepared(mine, looks):
    recipe = opened(mine)
    prepare_stage.prepare(recipe, Quiet())
    looks.clear()
    run = train_stage.train(recipe, Quiet())
    assert looks["folder"] == 1
    assert train_stage.train(recipe, Quiet()) == run and looks["folder"] == 2


def test_a_sweep_looks_once_however_many_runs_it_has(mine, looks):
    points = [sweep.Point(str(mine), (), seed) for seed in range(40)]
    with one_look():  # as every command is
        runs = {entry["run"] for entry in store.read_json(sweep.record(points))["runs"]}
        assert len(runs) == 40 and looks["folder"] == 1
        assert {plan.run_folder(sweep.opened(point)).name for point in points} == runs
    assert looks["folder"] == 1


def test_a_change_between_prepare_and_train_is_seen_in_a_process_that_goes_on(mine):
    before = prepare_stage.prepare(opened(mine), Quiet())
    change(mine)
    run = train_stage.train(opened(mine), Quiet())
    caches = store.read_json(run / "env.json")["caches"]
    assert not set(caches) & {cache.folder.name for cache in before.caches.values()}
    assert all(
        (store.home() / "cache" / "folder" / name / "receipt.json").exists() for name in caches
    )


def test_within_one_look_no_file_that_changed_since_is_read_as_what_it_was(mine):
    with one_look():
        whole = prepare_stage.prepare(opened(mine), Quiet())
        change(mine)
        # what is made already is of the files as they were
        assert prepare_stage.prepare(opened(mine), Quiet()).clips == whole.clips
        other = opened(mine, "audio.hop=16")
        with pytest.raises(DataError, match="changed while they were read"):
            train_stage.train(other, Quiet())
        cache = plan.plan_data(other).caches["audio"].folder
        assert not cache.exists()
    assert prepare_stage.prepare(other, Quiet()).caches["audio"].folder != cache


@pytest.mark.parametrize("place, what", [(clips_build, "make_clips"), (build, "_write_split")])
def test_what_was_read_while_a_file_changed_is_not_kept(mine, monkeypatch, place, what):
    function = getattr(place, what)
    changed = []

    def disturbed(*arguments, **more):
        if not changed:
            changed.append(change(mine))
        return function(*arguments, **more)

    monkeypatch.setattr(place, what, disturbed)
    recipe = opened(mine)
    planned = plan.plan_data(recipe)
    with pytest.raises(DataError, match="changed while they were read") as caught:
        prepare_stage.prepare(recipe, Quiet())
    assert caught.value.exit_code == 4 and re.search("run the same command", caught.value.hint)
    assert not any(cache.folder.exists() for cache in planned.caches.values())
    assert planned.clips.exists() == (what == "_write_split")  # they are of the files of before
    assert prepare_stage.prepare(recipe, Quiet()).clips != planned.clips  # the same command again


def test_noise_is_put_on_no_other_sound_than_the_network_was_tested_on(mine):
    """A night's work in one command: a sound is replaced while the network trains."""
    with one_look():
        recipe = opened(mine, "noise.snr_db={start: 0, stop: 0, step: 1}")
        run = train_stage.train(recipe, Quiet())
        (tested, *_) = [
            clip for clip in read_clips(plan.plan_data(recipe).clips) if clip.split == "test"
        ]
        change(mine, tested.audio)
        with pytest.raises(DataError, match=rf"{tested.audio}: has changed since .*, as 1 of"):
            result_stages.noise_eval(recipe, run, recipe.noise, Quiet())
    assert not list(run.glob("noise-*.json"))


def test_a_folder_is_walked_once_for_all_that_ask_what_it_holds(mine, monkeypatch):
    walks, entries = [], folder.files.entries

    @functools.wraps(entries)
    def counted(root):
        walks.append(root)
        return entries(root)

    monkeypatch.setattr(folder.files, "entries", counted)
    with one_look():
        prepare_stage.prepare(opened(mine), Quiet())
    # the plan; then whether it still holds, after the clips were listed and after each cache
    assert len(walks) == 4
