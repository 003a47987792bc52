"""A run is a function of its recipe: stopped anywhere and resumed, it ends in the same bits."""

import json

import pytest
import torch

from pipelines.disk import store
from pipelines.errors import Terminated
from pipelines.recipe import recipe as recipes
from pipelines.runs import train_stage
from pipelines.training.checkpoint import load_weights, newest

SMALL = (
    "model.width=16",
    "model.heads=2",
    "model.time_steps=2",
    "train.epochs=4",
    "train.batch_size=128",
    "runtime.device=cpu",
)


class Quiet:
    """A reporter that says nothing and can ask for the end after some steps."""

    def __init__(self, stop_after=None):
        self.left = stop_after

    def say(self, text): ...
    def advance(self, what, done, total): ...
    def log_to(self, path): ...
    def epoch(self, record): ...

    def step(self, *_):
        if self.left is not None:
            self.left -= 1
            if self.left == 0:
                import signal

                signal.raise_signal(signal.SIGTERM)


def small(*settings):
    return recipes.load_recipe(recipes.find("quickstart"), (*SMALL, *settings))


def outcome(run):
    """Weights, and the metrics without what a clock says."""
    trained = store.read_json(run / "trained.json")
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    for line in lines:
        line.pop("seconds")
    return load_weights(run / "best.safetensors", trained["sha256"]), lines


def assert_same(a, b):
    assert a[1] == b[1]
    assert a[0].keys() == b[0].keys()
    assert all(torch.equal(a[0][name], b[0][name]) for name in a[0])


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AVSNN_HOME", str(tmp_path_factory.mktemp("home")))
        yield outcome(train_stage.train(small(), Quiet()))


# 10 steps an epoch: in the first epoch, at the very end of one, in a later one, several times
@pytest.mark.parametrize("stops", [[3], [10], [25], [7, 9, 1]])
def test_stopped_and_resumed_is_bit_equal(undisturbed, stops, tmp_path, monkeypatch):
    monkeypatch.setenv("AVSNN_HOME", str(tmp_path))
    for steps in stops:
        with pytest.raises(Terminated):
            train_stage.train(small(), Quiet(stop_after=steps))
        (run,) = (tmp_path / "runs").glob("quickstart-*")
        assert newest(run) is not None
        assert not (run / "trained.json").exists()
    assert_same(outcome(train_stage.train(small(), Quiet())), undisturbed)


def test_streamed_training_is_bit_equal_to_resident(undisturbed, tmp_path, monkeypatch):
    monkeypatch.setenv("AVSNN_HOME", str(tmp_path))
    assert_same(outcome(train_stage.train(small("train.data_on_device=no"), Quiet())), undisturbed)


def test_two_and_two_epochs_are_four(undisturbed, tmp_path, monkeypatch):
    monkeypatch.setenv("AVSNN_HOME", str(tmp_path))
    with pytest.raises(Terminated):
        train_stage.train(small(), Quiet(stop_after=20))
    assert_same(outcome(train_stage.train(small(), Quiet())), undisturbed)
