"""Training that begins from an earlier run's weights, or keeps some of them as they are."""

import re

import pytest
import torch
from torch import nn

from pipelines.disk import store
from pipelines.errors import DataError, RecipeError, Terminated
from pipelines.plan.plan import plan_data
from pipelines.recipe import recipe as recipes
from pipelines.runs import train_stage
from pipelines.training import checkpoint
from pipelines.training.checkpoint import load_weights
from pipelines.training.start import begin_from
from tests.e2e.test_resume import SMALL, Quiet, assert_same, outcome

SIZES = tuple(setting for setting in SMALL if not setting.startswith("train.epochs"))
HEARS = "{name: spikformer, width: 16, stages: 2, heads: 2, time_steps: 2}"


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory):
    """One home for the module: the data are prepared once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AVSNN_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(scope="module")
def both():
    """A run of a network that hears and sees."""
    return train_stage.train(fusing(), Quiet())


def fusing(*settings, epochs=1, sizes=SIZES):
    given = (*sizes, f"train.epochs={epochs}", *settings)
    return recipes.load_recipe(recipes.find("quickstart"), given)


def hearing(folder, *settings):
    """The quickstart with the audio alone."""
    lines = recipes.find("quickstart").read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if not line.startswith(("visual:", "model:"))]
    path = folder / "hearing.yaml"
    path.write_text("\n".join([*kept, f"model: {HEARS}"]) + "\n", encoding="utf-8")
    small = ("train.batch_size=128", "runtime.device=cpu", "train.epochs=1")
    return recipes.load_recipe(path, (*small, *settings))


def weights(run):
    return load_weights(run / "best.safetensors", store.read_json(run / "trained.json")["sha256"])


def test_one_modality_begins_with_the_branch_of_both(both, tmp_path):
    """S-CMRL, Table IV: what one modality gains from having been trained with the other."""
    held = "train.freeze=[patches]"  # what is kept shows where it came from
    run = train_stage.train(hearing(tmp_path, f"train.start_from=[{both.name}]", held), Quiet())
    old, new = weights(both), weights(run)
    patches = [name for name in new if name.startswith("patches.")]
    assert patches and all(torch.equal(new[k], old[f"audio.{k}"]) for k in patches)
    (begun,) = store.read_json(run / "trained.json")["start_from"]
    shared = [k for k in new if k in {o.removeprefix("audio.") for o in old if "audio." in o}]
    assert begun["run"] == both.name and 0 < begun["tensors"] == len(shared) < begun["of"]
    assert begun["sha256"] == store.read_json(both / "trained.json")["sha256"]


def test_both_begin_with_what_was_trained_alone(tmp_path):
    """SMLP: the branches are trained first."""
    alone = train_stage.train(hearing(tmp_path), Quiet())
    run = train_stage.train(
        fusing(f"train.start_from=[{alone.name}]", "train.freeze=[audio.patches]"), Quiet()
    )
    old, new = weights(alone), weights(run)
    names = [name for name in old if name.startswith("patches.")]
    assert names and all(torch.equal(old[k], new[f"audio.{k}"]) for k in names)


def test_a_frozen_part_keeps_every_bit_and_the_rest_learns(both):
    run = train_stage.train(
        fusing(f"train.start_from=[{both.name}]", "train.freeze=[visual]"), Quiet()
    )
    old, new = weights(both), weights(run)
    same = {name for name in old if torch.equal(old[name], new[name])}
    seen = {name for name in old if name.startswith("visual.")}
    assert seen <= same  # running means and variances too
    assert "head.weight" not in same and not any(k.startswith("audio.patches") for k in same)


def test_where_it_began_is_part_of_the_run_and_of_a_resume(both):
    begun = (f"train.start_from=[{both.name}]", "train.freeze=[visual.patches]")
    plain = train_stage.train(fusing(epochs=2), Quiet())
    run = train_stage.train(fusing(*begun, epochs=2), Quiet())
    assert run != plain
    whole = outcome(run)
    store.remove(run)
    with pytest.raises(Terminated):
        train_stage.train(fusing(*begun, epochs=2), Quiet(stop_after=7))
    elsewhere = both.rename(both.with_name("elsewhere"))  # the source is not asked for again
    try:
        assert_same(outcome(train_stage.train(fusing(*begun, epochs=2), Quiet())), whole)
        with pytest.raises(DataError, match="no trained run"):
            train_stage.train(fusing(*begun, epochs=2), Quiet(), fresh=True)
        assert_same(outcome(run), whole)  # nor was anything removed for a start that cannot be
    finally:
        elsewhere.rename(both)


@pytest.mark.parametrize("name", ["quickstart-000000000000", "none"])
def test_a_run_that_is_not_there_is_said_before_anything_is_prepared(name):
    with pytest.raises(DataError, match=name):
        train_stage.train(fusing(f"train.start_from=[{name}]"), Quiet())


@pytest.mark.parametrize("name", ["../up", ".", "a/b", ""])
def test_what_cannot_be_a_run_is_an_error_of_the_recipe(name):
    with pytest.raises(RecipeError, match="start_from"):
        fusing(f"train.start_from=['{name}']")


def test_a_run_that_has_learned_from_test_clips_is_refused(both):
    """Another data seed is another split: what was training there is in the test here."""
    with pytest.raises(DataError, match=r"has learned from \d+ of the 269 test clips") as caught:
        train_stage.train(fusing(f"train.start_from=[{both.name}]", "data.seed=1"), Quiet())
    count = int(re.search(r"from (\d+) of", caught.value.message)[1])
    # 70 of 100 clips are learned from, and chosen without regard to the other seed's choice
    assert 0.7 < count / 269 < 1
    assert "data.seed" in caught.value.hint


def test_a_frozen_part_that_would_stay_random_is_refused(both):
    deeper = fusing(f"train.start_from=[{both.name}]", "train.freeze=[visual]", "model.stages=3")
    with pytest.raises(DataError, match=r"visual\.patches.*would stay random"):
        train_stage.train(deeper, Quiet())


def test_only_what_was_learned_is_copied(both, monkeypatch):
    """PMR counts its steps and keeps prototypes: of another training, not of this one."""
    recipe = fusing(f"train.start_from=[{both.name}]")
    plan = plan_data(recipe)
    source = weights(both)

    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(*source["head.weight"].shape[::-1])
            self.norm = nn.BatchNorm1d(3)
            self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    old, new = Counting(), Counting()
    with torch.no_grad():
        old.steps.fill_(5000)
        old.norm.running_mean.fill_(2.0)
    monkeypatch.setattr(checkpoint, "load_weights", lambda *_: old.state_dict())
    begin_from(new, recipe, plan)
    assert torch.equal(new.head.weight, old.head.weight) and new.steps == 0
    assert torch.equal(new.norm.running_mean, old.norm.running_mean)


def test_weights_of_other_sizes_are_one_line(both):
    wide = ("model.width=24", "model.heads=2", "train.batch_size=128", "runtime.device=cpu")
    with pytest.raises(DataError, match="no weight"):
        train_stage.train(fusing(f"train.start_from=[{both.name}]", sizes=wide), Quiet())


@pytest.mark.parametrize(
    ("part", "words"), [("vissual", "no part"), ("[audio, visual, head]", "nothing is left")]
)
def test_a_part_that_cannot_be_frozen_is_one_line(part, words):
    part = part if part.startswith("[") else f"[{part}]"
    with pytest.raises(RecipeError, match=words) as error:
        train_stage.train(fusing(f"train.freeze={part}"), Quiet())
    assert words != "no part" or "visual" in error.value.hint
