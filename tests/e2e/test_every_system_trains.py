"""Every network learns, is evaluated and goes on after a stop, on data that are built offline.

Small versions through the real stages: some clips of digits-av, as a folder, for images and tones;
array-sim where the network locates. A network is here by being registered; its settings are those
of test_every_system.
"""

import json
import math

import pytest
import soundfile
from PIL import Image

from pipelines import registry
from pipelines.datasets import digits_av
from pipelines.disk import store
from pipelines.errors import Terminated
from pipelines.plan.plan import run_folder
from pipelines.recipe import recipe as recipes
from pipelines.recipe.yaml_reader import dump
from pipelines.runs import result_stages, train_stage
from pipelines.training.checkpoint import newest
from tests.e2e.test_resume import Quiet, assert_same, outcome
from tests.unit.test_every_system import SMALL

MODELS = registry.names("model")
CLASSES, EACH = 4, 12
STOP_AFTER = 2
# correlations of 4 microphones at lags -6 to 6, and as many mel bands
BINS = 13
ARRAY = {"feature": "gcc_logmel", "sample_rate": 16000, "seconds": 1.0, "max_lag": 6}
TONES = {"feature": "stft", "sample_rate": 8000, "seconds": 0.5, "n_fft": 256, "hop": 125}


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """Write the first clips of four digits as a folder of images and sounds."""
    folder = tmp_path_factory.mktemp("digits")
    for clip in digits_av.pairs(folder):
        where = folder / f"digit {clip.label}"
        if clip.label >= CLASSES or len(list(where.glob("*.png"))) == EACH:
            continue
        where.mkdir(exist_ok=True)
        waveform, rate_hz = digits_av.audio(folder, clip.audio)
        soundfile.write(where / f"{clip.id}.wav", waveform.T, rate_hz, subtype="FLOAT")
        Image.fromarray(digits_av.image(folder, clip.visual)[..., 0]).save(where / f"{clip.id}.png")
    return folder


@pytest.fixture(scope="module", autouse=True)
def shared_home(tmp_path_factory):
    """One home, so that each cache is made once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AVSNN_HOME", str(tmp_path_factory.mktemp("home")))
        yield


def small(name, digits, folder):
    """Write the recipe of a network's small version: one epoch of five or six steps."""
    settings, shapes = SMALL[name]
    takes = registry.load_module("model", name).Model.forward.__annotations__
    shape = {
        modality: shapes.get(modality, (3, 16, 16))
        for modality in ("audio", "visual")
        if modality in takes
    }
    given = {modality: list(size[1:]) for modality, size in shape.items() if size is not None}
    sections = {}
    if "bins" in settings:  # it reads an array
        data, settings = (
            {"dataset": "array-sim", "azimuth_step_deg": 45},
            {**settings, "bins": BINS},
        )
        sections["audio"] = ARRAY
    else:
        data = {"dataset": "folder", "path": str(digits)}
        if "audio" in given:
            sections["audio"] = {**TONES, "size": given["audio"]}
        if "visual" in given:
            sections["visual"] = {"feature": "image", "size": given["visual"]}
    path = folder / f"{name}.yaml"
    path.write_text(
        dump(
            {
                "version": 1,
                "seed": 0,
                "data": data,
                **sections,
                "model": {"name": name, **settings},
                "train": {"epochs": 1, "batch_size": 7, "optimizer": {"name": "adam", "lr": 1e-3}},
                "runtime": {"device": "cpu"},
            }
        )
    )
    return recipes.load_recipe(path)


class Counting(Quiet):
    """Says nothing, and counts the steps."""

    def __init__(self, stop_after=None):
        super().__init__(stop_after)
        self.steps = 0

    def step(self, *given):
        self.steps += 1
        super().step(*given)


@pytest.mark.parametrize("name", MODELS)
def test_it_trains_an_epoch_and_stopped_within_it_ends_in_the_same_bytes(name, digits, tmp_path):
    recipe = small(name, digits, tmp_path)
    stopped, resumed, whole = Counting(STOP_AFTER), Counting(), Counting()
    with pytest.raises(Terminated):
        train_stage.train(recipe, stopped)
    run = run_folder(recipe)
    assert newest(run) is not None and not (run / "trained.json").exists()
    train_stage.train(recipe, resumed)
    assert stopped.steps == STOP_AFTER and resumed.steps >= 2
    after_a_stop = outcome(run), store.sha256(run / "best.safetensors")

    train_stage.train(recipe, whole, fresh=True)
    assert whole.steps == stopped.steps + resumed.steps
    assert_same(outcome(run), after_a_stop[0])
    assert store.sha256(run / "best.safetensors") == after_a_stop[1]

    (record,) = (json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines())
    assert math.isfinite(record["train_loss"]) and math.isfinite(record["validation_loss"])
    result_stages.evaluate(recipe, run, Quiet())
    result = store.read_json(run / "eval.json")
    assert math.isfinite(result["loss"]) and 0 <= result["accuracy"] <= 1
    assert result["weights_sha256"] == after_a_stop[1]
    assert ("doa" in result) == (recipe.data.dataset == "array-sim")
