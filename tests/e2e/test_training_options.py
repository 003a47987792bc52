"""Each training setting does what it says, on the quickstart's real digits, for one epoch."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from pipelines.clips.clips import read_clips
from pipelines.errors import AvsnnError, MachineError, UsageError
from pipelines.evaluation.trained_run import TrainedRun
from pipelines.plan.plan import plan_data
from pipelines.recipe import recipe as recipes
from pipelines.recipe.noise import Noise
from pipelines.runs import result_stages, train_stage
from pipelines.snn.doa import likelihood_loss
from pipelines.training.batches import loader, open_split
from pipelines.training.infer import call, predict
from pipelines.training.inputs import Inputs
from pipelines.training.network import autocast_of
from tests.e2e.test_resume import SMALL, Quiet

CPU = torch.device("cpu")
TINY = tuple(s for s in SMALL if not s.startswith("train.epochs"))


@pytest.fixture(scope="module", autouse=True)
def shared_home(tmp_path_factory):
    """One home, so that the caches are made once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AVSNN_HOME", str(tmp_path_factory.mktemp("home")))
        yield


def train(*settings, name="quickstart", epochs=1):
    path = recipes.find(name) if isinstance(name, str) else name
    chosen = {setting.split("=")[0] for setting in settings}
    tiny = [setting for setting in TINY if setting.split("=")[0] not in chosen]
    recipe = recipes.load_recipe(path, (*tiny, f"train.epochs={epochs}", *settings))
    run = train_stage.train(recipe, Quiet())
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return recipe, run, [json.loads(line) for line in lines]


@pytest.mark.parametrize(
    "settings",
    [
        ["train.precision=bf16"],
        ["train.memory_format=contiguous"],
        ["train.label_smoothing=0.1", "train.clip_norm=1.0"],
        ["train.data_on_device=no", "runtime.num_workers=1"],
        ["visual.margin=2", "visual.crop=random", "visual.flip=true"],
        ["visual.margin=2", "visual.crop=resized"],
        [
            "visual.margin=[2, 4]",
            "visual.fit=cover",
            "visual.crop=resized-antialiased",
            "visual.normalise=none",
            "audio.normalise=none",
        ],
        ["train.augment.time_shift=0.2"],
        ["model.preset=authors"],
        ["model.ccssa=none", "model.fusion=concat"],
        ["model.ccssa=spatial"],
        ["model.ccssa=temporal", "model.sao=none"],
        ["audio.feature=logmel", "audio.n_mels=16"],
    ],
    ids=" ".join,
)
def test_it_trains(settings):
    _, _, (record,) = train(*settings)
    assert record["train_loss"] > 0
    assert 0 <= record["validation_accuracy"] <= 1
    layers = [name for name in record["firing_rates"] if name.endswith(("lif", "_lif"))]
    assert len(layers) > 10


def test_worker_processes_change_nothing():
    by_worker = train("train.data_on_device=no", "runtime.num_workers=1")
    resident = train()
    assert by_worker[2][0]["train_loss"] == resident[2][0]["train_loss"]


@pytest.mark.parametrize("modality", ["audio", "visual"])
def test_one_modality_alone_trains_and_takes_its_own_noise(modality, tmp_path):
    text = recipes.find("quickstart").read_text()
    other = "visual" if modality == "audio" else "audio"
    lines = [line for line in text.splitlines() if not line.startswith(f"{other}:")]
    model = "model: {name: spikformer, width: 16, heads: 2, stages: 2}"
    lines = [model if line.startswith("model:") else line for line in lines]
    own = tmp_path / f"{modality}_alone.yaml"
    own.write_text("\n".join(lines))
    recipe, run, _ = train(name=own)
    result = result_stages.evaluate(recipe, run, Quiet())
    assert result["sources"].keys() == {modality}
    sweep = result_stages.noise_eval(recipe, run, Noise(), Quiet())
    assert sweep["noisy_inputs"] == [modality]
    with pytest.raises(UsageError, match=f"no {other} input"):
        result_stages.noise_eval(recipe, run, Noise(modality=other), Quiet())


def test_the_learning_rate_follows_the_schedule():
    schedule = "{name: step, milestones: [1], gamma: 0.5}"
    _, _, records = train(f"train.schedule={schedule}", epochs=2)
    assert records[1]["lr"] == pytest.approx(records[0]["lr"] / 2)


def opened(recipe, run):
    """Load the selected weights; returns network, plan, validation clips and how to predict."""
    plan = plan_data(recipe)
    model = TrainedRun.open(recipe, plan, run, CPU).model
    split = open_split(plan, read_clips(plan.clips), "validation")
    prepare = Inputs(recipe, plan, CPU).for_evaluation

    def again(split):
        return predict(
            model,
            split,
            loader(split, recipe, CPU),
            prepare,
            recipe,
            autocast_of(recipe, CPU),
            objective=True,
        )

    return model, plan, split, again


SELECTIONS = {
    "last": lambda records: records[-1],
    "best-validation": lambda records: max(records, key=lambda r: r["validation_accuracy"]),
    "lowest-loss": lambda records: min(records, key=lambda r: r["validation_loss"]),
}


@pytest.mark.parametrize("rule", SELECTIONS)
def test_the_epoch_that_the_rule_selects_is_the_one_that_is_evaluated(rule):
    # so large a learning rate that loss and accuracy rise and fall
    settings = (f"train.select={rule}", "train.optimizer.lr=0.05")
    recipe, run, records = train(*settings, epochs=4)
    expected = SELECTIONS[rule](records)
    result = result_stages.evaluate(recipe, run, Quiet())
    assert result["selection"] == f"{rule} (epoch {expected['epoch']})"
    # the weights are that epoch's: they give its validation accuracy again
    _, _, split, again = opened(recipe, run)
    assert again(split).accuracy == expected["validation_accuracy"]


def test_the_loss_on_validation_is_what_is_learned_azimuths_too():
    recipe = recipes.load_recipe(
        recipes.find("array_sim/slc_net"),
        (
            "data.azimuth_step_deg=15",
            "model.embedding=64",
            "model.blocks=1",
            "train.epochs=3",
            "train.select=lowest-loss",
            "runtime.device=cpu",
        ),
    )
    run = train_stage.train(recipe, Quiet())
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    model, plan, split, again = opened(recipe, run)
    found = again(split)
    assert found.objective == min(record["validation_loss"] for record in records)
    turned = again(replace(split, azimuth_deg=(split.azimuth_deg + 180) % 360))
    assert turned.loss == found.loss and turned.objective != found.objective
    # lambda L_SSL + (1 - lambda) L_SEC (SpikSLC-Net, Eq. 19), of all clips at once
    weight = recipe.model.doa_weight
    with torch.no_grad():
        (batch,) = loader(split, recipe, CPU)([np.arange(len(split))])
        output = call(model, *Inputs(recipe, plan, CPU).for_evaluation(batch))
        located = likelihood_loss(output.azimuth, batch.azimuth_deg, recipe.model.sigma_deg)
    assert found.objective == pytest.approx(weight * float(located) + (1 - weight) * found.loss)


def test_training_never_opens_the_test_split(monkeypatch):
    from pipelines.training import loop

    opened = []

    def remember(plan, clips, name):
        opened.append(name)
        return original(plan, clips, name)

    original = loop.open_split
    monkeypatch.setattr(loop, "open_split", remember)
    train("seed=5")
    assert sorted(opened) == ["train", "validation"]


def test_a_device_that_is_not_there_is_said_in_one_line():
    with pytest.raises(MachineError, match="no device cuda:99"):
        train("runtime.device=cuda:99", "seed=6")


def test_a_loss_that_is_not_finite_stops_with_advice(monkeypatch):
    # batch norm keeps a wild learning rate finite: the weights themselves are spoilt
    from pipelines.training import loop

    def spoilt(*arguments):
        model = original(*arguments)
        torch.nn.init.constant_(model.head.weight, float("inf"))
        return model

    original = loop.build_model
    monkeypatch.setattr(loop, "build_model", spoilt)
    with pytest.raises(AvsnnError, match="no longer finite in epoch 1") as caught:
        train("seed=7")
    assert "lr" in caught.value.hint
