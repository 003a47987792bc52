"""Training on varied recordings: a function of the recipe, whatever the order, stops or workers."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from pipelines import device as machine
from pipelines.cache.receipts import clips_of
from pipelines.cache.recordings import Recordings
from pipelines.download import manifest
from pipelines.errors import MachineError, RecipeError, Terminated
from pipelines.plan.plan import plan_data
from pipelines.recipe import recipe as recipes
from pipelines.runs import train_stage
from pipelines.training.batches import loader, open_split, training_order
from pipelines.training.inputs import Inputs
from tests import published
from tests.e2e.test_resume import Quiet, assert_same, outcome

CPU = torch.device("cpu")
STEPS = 3
EVENTS = (
    "train.augment.events={drop: 0.2, rate: 2.0, time_jitter_us: 500.0, space_jitter_px: 0.7, "
    "refractory_us: 300, hot_pixels: 0.01, hot_rate: 50.0}"
)
SMALL = (
    "runtime.device=cpu",
    "train.epochs=2",
    "train.batch_size=32",
    "model.width=16",
    "model.heads=2",
    "model.time_steps=2",
    "audio.time_steps=2",
    "visual.time_steps=2",
    "audio.size=[16, 16]",
    "visual.size=[16, 16]",
)


def small(*settings, events=EVENTS):
    return recipes.load_recipe(
        recipes.find("mnistdvs_ntidigits/s_cmrl"), (*SMALL, events, *settings)
    )


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Train once; the other tests use its home, which has the recordings and caches."""
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("home")
        patch.setenv("AVSNN_HOME", str(home))
        raw = home / "raw/mnistdvs-ntidigits" / manifest.load_manifest("mnistdvs-ntidigits").version
        published.mnist_dvs(raw, each=20)
        published.ntidigits(raw / "n-tidigits.hdf5")
        run = train_stage.train(small(), Quiet())
        yield run, outcome(run)


def retrained(run: Path, *settings, stops=()):
    """Train the run once more, stopped after some steps; return what comes out."""
    shutil.rmtree(run)
    for steps in stops:
        with pytest.raises(Terminated):
            train_stage.train(small(*settings), Quiet(stop_after=steps))
    return outcome(train_stage.train(small(*settings), Quiet()))


@pytest.mark.usefixtures("undisturbed")
def test_an_epoch_has_as_many_steps_as_the_tests_below_count_on():
    plan = plan_data(small())
    split = open_split(plan, clips_of(plan), "train")
    assert len(training_order(len(split), 32, 0, 0)) == STEPS


# within the first epoch, and within the second
@pytest.mark.parametrize("stops", [[2], [STEPS + 1]])
def test_stopped_and_resumed_is_bit_equal(undisturbed, stops):
    run, result = undisturbed
    assert_same(retrained(run, stops=stops), result)


def test_streamed_with_other_workers_is_bit_equal(undisturbed):
    _, result = undisturbed
    streamed = small("train.data_on_device=no", "runtime.num_workers=0")
    assert_same(outcome(train_stage.train(streamed, Quiet())), result)


def prepared(recipe, order, epoch=0):
    """Return what the network sees of some training clips: {clip: (audio, visual)}."""
    plan = plan_data(recipe)
    split = open_split(plan, clips_of(plan), "train")
    inputs, seen = Inputs(recipe, plan, CPU), {}
    for batch in loader(split, recipe, CPU)(order):
        audio, visual = inputs.for_training(batch, epoch)
        for place, number in enumerate(batch.numbers.tolist()):
            seen[number] = (audio[:, place].clone(), visual[:, place].clone())
    return seen


def same(first, second):
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.usefixtures("undisturbed")
def test_a_clip_is_varied_alike_in_any_order_and_anew_in_each_epoch():
    recipe = small()
    whole = prepared(recipe, [np.arange(12)])
    parts = prepared(recipe, [np.array([7, 3]), np.array([11])])
    assert all(same(parts[number], whole[number]) for number in parts)
    later = prepared(recipe, [np.arange(12)], epoch=1)
    other = prepared(small("seed=1"), [np.arange(12)])
    for number in whole:
        for varied in (later, other):
            for first, second in zip(whole[number], varied[number], strict=True):
                assert not torch.equal(first, second)


@pytest.mark.usefixtures("undisturbed")
def test_without_it_the_network_sees_the_cached_frames_and_no_recording_is_decoded(monkeypatch):
    clean = small(events="train.augment.events={}")
    assert not clean.train.augment.events.varies()

    def refuse(*_):
        raise AssertionError("decoded")

    monkeypatch.setattr(Recordings, "__init__", refuse)
    plan = plan_data(clean)
    split = open_split(plan, clips_of(plan), "train")
    inputs = Inputs(clean, plan, CPU)
    (batch,) = loader(split, clean, CPU)([np.arange(12)])
    assert same(inputs.for_training(batch, 0), inputs.for_evaluation(batch))
    # nor is evaluation varied where training is
    varied = Inputs(small(), plan, CPU)
    assert same(varied.for_evaluation(batch), inputs.for_evaluation(batch))
    with pytest.raises(AssertionError, match="decoded"):
        varied.for_training(batch, 0)


@pytest.mark.usefixtures("undisturbed")
def test_with_every_event_dropped_the_frames_are_empty():
    frames = prepared(
        small(
            "audio.normalise=none",
            "visual.normalise=none",
            events="train.augment.events={drop: 1.0}",
        ),
        [np.arange(3)],
    )
    assert not any(tensor.any() for pair in frames.values() for tensor in pair)


@pytest.mark.usefixtures("undisturbed")
def test_recordings_that_do_not_fit_into_memory_are_refused_in_words(monkeypatch):
    monkeypatch.setattr(machine, "free_bytes", lambda _: 20_000)
    plan = plan_data(small())
    rows = open_split(plan, clips_of(plan), "train").caches["visual"]
    with pytest.raises(MachineError, match="mnistdvs-ntidigits do not fit into memory") as caught:
        Recordings(plan, "visual", rows, 0)
    assert "train.augment.events" in caught.value.hint


def test_a_recipe_without_events_is_refused_before_anything_is_prepared():
    with pytest.raises(RecipeError) as caught:
        recipes.load_recipe(recipes.find("quickstart"), ("train.augment.events.drop=0.1",))
    assert "no input is made of events" in caught.value.message
    assert recipes.load_recipe(recipes.find("quickstart"), ("train.augment.events.hot_rate=5.0",))
