"""The noise curve of event data: frames made anew from raw events, each level on its own."""

import json
from functools import partial

import numpy as np
import pytest
import torch

from pipelines.cache.receipts import clips_of
from pipelines.cache.recordings import Recordings
from pipelines.download import manifest
from pipelines.errors import DataError, UsageError
from pipelines.plan.plan import plan_data
from pipelines.recipe import recipe as recipes
from pipelines.recipe.noise import parse_event_noise
from pipelines.reports.compare import compare, read_run
from pipelines.reports.comparison_plots import noise_points
from pipelines.results import run_files, schemas
from pipelines.runs import result_stages, train_stage
from pipelines.runs.status import status
from pipelines.signal.event_noise import drop
from pipelines.training.batches import open_split
from tests import published
from tests.e2e.test_resume import Quiet

SMALL = (
    "runtime.device=cpu",
    "train.epochs=1",
    "train.batch_size=16",
    "model.width=16",
    "model.time_steps=2",
    "audio.time_steps=2",
    "visual.time_steps=2",
    "audio.size=[16, 16]",
    "visual.size=[16, 16]",
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("home")
        patch.setenv("AVSNN_HOME", str(home))
        raw = home / "raw/mnistdvs-ntidigits" / manifest.load_manifest("mnistdvs-ntidigits").version
        published.mnist_dvs(raw, each=20)
        published.ntidigits(raw / "n-tidigits.hdf5")
        recipe = recipes.load_recipe(recipes.find("mnistdvs_ntidigits/s_cmrl"), SMALL)
        yield recipe, train_stage.train(recipe, Quiet())


def sweep(trained, text, modality=None, *, force=True, seed=0):
    recipe, run = trained
    noise = parse_event_noise(text, modality).model_copy(update={"seed": seed})
    return result_stages.noise_eval(recipe, run, noise, Quiet(), force=force)


def accuracy(result):
    return {point["level"]: point["accuracy"] for point in result["points"]}


def test_level_0_is_the_clean_point_and_a_level_does_not_depend_on_the_others(trained):
    for together, alone in (("drop:0:1:0.5", "drop:0.5"), ("rate:0:20:10", "rate:10")):
        many, one = sweep(trained, together), sweep(trained, alone)
        assert many["noisy_inputs"] == ["audio", "visual"]
        assert many["points"][0]["accuracy"] == many["points"][1]["accuracy"]
        assert one["points"][-1] == many["points"][2]


def test_frames_without_noise_are_the_cached_ones_and_noisy_ones_have_the_expected_counts(trained):
    recipe, _ = trained
    plan = plan_data(recipe)
    split = open_split(plan, clips_of(plan), "test")
    numbers, device = list(range(5)), torch.device("cpu")
    for modality, rows in split.caches.items():
        known = Recordings(plan, modality, rows, 0)
        cached = torch.from_numpy(rows.read(numbers))
        frames = known.frames(numbers, [partial(drop, share=0.0, seed=0)] * 5, device)
        assert torch.equal(frames.to(cached.dtype), cached)
        if modality == "visual":
            total = [int(frame.sum()) for frame in frames]
            half = known.frames(numbers, [partial(drop, share=0.5, seed=0)] * 5, device)
            assert [int(frame.sum()) for frame in half] == [n - int(n / 2 + 0.5) for n in total]


def test_noise_on_one_input_leaves_the_other_as_it_was(trained):
    both, visual = sweep(trained, "drop:1"), sweep(trained, "drop:1", "visual")
    assert visual["noisy_inputs"] == ["visual"]
    assert visual["points"][0] == both["points"][0]


def test_files_hits_and_compare(trained):
    recipe, run = trained
    first = sweep(trained, "rate:0:20:10")
    stem = run / "event-noise-both_rate_0to20by10"
    assert stem.with_suffix(".csv").read_text().startswith("level,accuracy,correct,wilson_low")
    for ending in (".png", "-examples.png"):
        assert stem.with_name(stem.name + ending).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    before = stem.with_suffix(".json").stat().st_mtime_ns
    assert sweep(trained, "rate:0:20:10", force=False) == first
    assert stem.with_suffix(".json").stat().st_mtime_ns == before
    other = sweep(trained, "rate:10", "visual", seed=3)
    result_stages.evaluate(recipe, run, Quiet())
    noise = read_run(run).noise
    assert noise["rate 10"] == accuracy(first)[10.0]
    assert noise["visual seed 3 rate 10"] == accuracy(other)[10.0]
    (row,) = compare([read_run(run)])
    assert list(noise_points(row, "rate")) == [0.0, 10.0, 20.0]
    assert not noise_points(row, "both")


def test_status_tells_a_hit_from_a_miss(trained):
    recipe, run = trained
    sweep(trained, "drop:0.5")
    rows = {
        text: status(recipe, run, parse_event_noise(text))[-1] for text in ("drop:0.5", "drop:0.75")
    }
    assert rows["drop:0.5"]["state"] == "hit"
    assert rows["drop:0.75"]["state"] == "miss" and "start 0.5" in rows["drop:0.75"]["detail"]


def test_an_edited_result_is_refused(trained):
    _, run = trained
    sweep(trained, "drop:0.25")
    path = run / "event-noise-both_drop_0.25.json"
    content = run_files.read_result(path, schemas.EventNoiseSweep)
    for change in (
        lambda c: c["points"][1].update(accuracy=1.0, wilson_low=0.0, wilson_high=1.0),
        lambda c: c["points"][1].update(level=0.5),
        lambda c: c["points"].pop(),
        lambda c: c["noise"].update(kind="other"),
    ):
        edited = json.loads(path.read_text())
        change(edited)
        assert schemas.EventNoiseSweep.faults(edited) != ""
    assert schemas.EventNoiseSweep.faults(content) == ""


def test_a_recording_that_changed_is_named(trained):
    recipe, _ = trained
    plan = plan_data(recipe)
    split = open_split(plan, clips_of(plan), "test")
    rows = split.caches["visual"]
    rows.content = rows.content.copy()
    rows.content[3] += np.uint64(1)
    with pytest.raises(DataError, match="has changed since") as caught:
        Recordings(plan, "visual", rows, 0)
    assert rows.sources[3] in caught.value.message


def test_a_run_without_events_says_what_it_is_made_of(tmp_path, monkeypatch):
    monkeypatch.setenv("AVSNN_HOME", str(tmp_path))
    small = ("train.epochs=1", "model.width=16", "runtime.device=cpu")
    recipe = recipes.load_recipe(recipes.find("quickstart"), small)
    run = train_stage.train(recipe, Quiet())
    with pytest.raises(
        UsageError, match="no input that is made of events: audio is made of"
    ) as caught:
        result_stages.noise_eval(recipe, run, parse_event_noise("drop:0.5"), Quiet())
    assert "--snr" in caught.value.hint
    assert not list(run.glob("*event-noise-*"))
