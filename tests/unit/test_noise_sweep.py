"""The noise curve: what gets the noise, and that each level stands alone."""

import functools
import math
import re

import pytest
import torch

from pipelines.features import logmel, stft
from pipelines.recipe import recipe as recipes
from pipelines.recipe.noise import Noise, SnrRange
from pipelines.reports.compare import read_run
from pipelines.results.noise_files import noise_result
from pipelines.runs import prepare_stage, result_stages, train_stage
from pipelines.signal.noise import add_noise
from pipelines.training.inputs import Inputs
from tests.e2e.test_resume import Quiet


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AVSNN_HOME", str(tmp_path_factory.mktemp("home")))
        recipe = recipes.load_recipe(
            recipes.find("quickstart"), ("train.epochs=4", "model.width=32", "runtime.device=cpu")
        )
        yield recipe, train_stage.train(recipe, Quiet())


def sweep(trained, **settings):
    recipe, run = trained
    return result_stages.noise_eval(recipe, run, Noise(**settings), Quiet(), force=True)


def levels(start, stop, step):
    return SnrRange(start=float(start), stop=float(stop), step=float(step))


def accuracy(result):
    return {point["snr_db"]: point["accuracy"] for point in result["points"]}


def test_the_clean_point_is_the_evaluations_accuracy(trained):
    result = sweep(trained, snr_db=levels(0, 30, 15))
    clean = result_stages.evaluate(*trained, Quiet())["accuracy"]
    assert [p["snr_db"] for p in result["points"]] == [None, 0.0, 15.0, 30.0]
    assert accuracy(result)[None] == clean > 0.5
    assert result["noisy_inputs"] == ["audio", "visual"]


def test_nearly_no_noise_is_clean_and_loud_noise_is_not(trained):
    found = accuracy(sweep(trained, snr_db=levels(-40, 120, 160)))
    assert abs(found[120.0] - found[None]) < 0.03
    assert found[-40.0] < found[None] - 0.2


def test_a_level_does_not_depend_on_the_others(trained):
    together = accuracy(sweep(trained, snr_db=levels(0, 30, 5)))
    alone = accuracy(sweep(trained, snr_db=levels(10, 10, 5)))
    assert alone[10.0] == together[10.0]


def test_each_modality_alone_hurts_less_than_both(trained):
    at = {
        modality: accuracy(sweep(trained, snr_db=levels(0, 0, 5), modality=modality))[0.0]
        for modality in ("audio", "visual", "both")
    }
    assert at["both"] <= min(at["audio"], at["visual"]) + 0.02


def test_another_seed_is_another_noise(trained):
    a, b = (sweep(trained, snr_db=levels(5, 5, 5), seed=seed) for seed in (0, 1))
    assert a["noise"] != b["noise"]


def test_files_for_people_and_programs(trained):
    sweep(trained, snr_db=levels(0, 30, 15), modality="audio")
    _, run = trained
    lines = (run / "noise-audio_0to30by15dB.csv").read_text().splitlines()
    assert lines[0] == "snr_db,accuracy,correct,wilson_low,wilson_high"
    assert len(lines) == 5
    assert (run / "noise-audio_0to30by15dB.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert (run / "noise-audio_0to30by15dB.json").exists()


def test_another_sweep_leaves_the_first_ones_files_and_compare_reads_both(trained):
    recipe, run = trained
    first = sweep(trained, snr_db=levels(0, 30, 5), modality="visual")
    files = {path: path.read_bytes() for path in run.glob("noise-visual*")}
    assert {path.suffix for path in files} == {".json", ".csv", ".png"}
    sweep(trained, snr_db=levels(-10, 0, 10), modality="visual")
    other = sweep(trained, snr_db=levels(0, 0, 1), modality="visual", seed=3, power="batch")
    assert {path: path.read_bytes() for path in files} == files
    assert (run / "noise-visual_-10to0by10dB.csv").exists()
    result_stages.evaluate(recipe, run, Quiet())
    found = read_run(run).noise
    assert found["visual 0 dB"] == accuracy(first)[0.0] and "visual -10 dB" in found
    assert found["visual batch-power seed 3 0 dB"] == accuracy(other)[0.0]


def test_a_level_with_a_point_keeps_its_whole_name_and_is_a_hit(trained):
    recipe, run = trained
    first = sweep(trained, snr_db=levels(2.5, 2.5, 1), modality="visual")
    names = {path.name for path in run.glob("noise-visual_2*")}
    assert names == {
        f"noise-visual_2.5dB{end}" for end in (".json", ".csv", ".png", "-examples.png")
    }
    noise = Noise(snr_db=levels(2.5, 2.5, 1), modality="visual")
    written = (run / "noise-visual_2.5dB.json").stat().st_mtime_ns
    assert result_stages.noise_eval(recipe, run, noise, Quiet()) == first
    assert (run / "noise-visual_2.5dB.json").stat().st_mtime_ns == written


def test_no_two_sweeps_share_a_name():
    sweeps = [
        Noise(snr_db=snr, modality=modality, seed=seed, power=power)
        for snr in (SnrRange(), levels(0, 30, 10), levels(-5, 5, 0.1), levels(0.5, 0.5, 1))
        for modality in ("audio", "visual", "both")
        for seed in (0, 3, 31)
        for power in ("sample", "batch")
    ]
    names = {noise_result(noise) for noise in sweeps}
    assert len(names) == len(sweeps) and noise_result(Noise()) == "noise-both"
    assert all(re.fullmatch(r"[\w.-]+", name) for name in names)


def test_noise_keeps_its_ratio_where_the_feature_cuts_sounds_off_at_full_scale(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("AVSNN_HOME", str(tmp_path))
    recipe = recipes.load_recipe(
        recipes.find("quickstart"),
        (
            "runtime.device=cpu",
            "audio={feature: stft, seconds: 0.5, "
            "sample_rate: 8000, n_fft: 256, hop: 64, size: [16, 16]}",
        ),
    )
    assert recipe.audio is not None and recipe.audio.clamp
    plan = prepare_stage.prepare(recipe, Quiet())
    inputs = Inputs(recipe, plan, torch.device("cpu"))
    loud = 1.2 * torch.sin(2 * math.pi * 1000 * torch.arange(2000) / 8000)[None]
    heard = []

    def noise(clean):
        heard.append(clean)
        return add_noise(clean, 0.0, torch.tensor([7]))

    features = inputs.extract_noisy(loud, noise)
    (clean,) = heard
    assert float(clean.abs().max()) == 1.0
    noisy = noise(clean)
    ratio_db = 10 * torch.log10(clean.square().mean() / (noisy - clean).square().mean())
    assert abs(float(ratio_db)) < 0.3
    expected = stft.extract(noisy, n_fft=256, hop=64, size=(16, 16), clamp=False)
    assert torch.equal(features, expected.half())
    # cut off after the noise it would have been another input
    assert not torch.equal(
        features, stft.extract(noisy, n_fft=256, hop=64, size=(16, 16), clamp=True).half()
    )


def test_features_of_noisy_sounds_are_never_worked_out_in_bfloat16(tmp_path, monkeypatch):
    monkeypatch.setenv("AVSNN_HOME", str(tmp_path))
    recipe = recipes.load_recipe(
        recipes.find("quickstart"),
        (
            "runtime.device=cpu",
            "train.epochs=1",
            "train.precision=bf16",
            "model.width=16",
            "audio={feature: logmel, seconds: 0.5, sample_rate: 8000, n_fft: 256, hop: 64, "
            "n_mels: 32, size: [16, 16]}",
        ),
    )
    low_precision, extract = [], logmel.extract

    def watched(waveform, **settings):
        low_precision.append(torch.is_autocast_enabled("cpu"))
        return extract(waveform, **settings)

    monkeypatch.setattr(logmel, "extract", functools.wraps(extract)(watched))
    run = train_stage.train(recipe, Quiet())
    result_stages.noise_eval(recipe, run, Noise(snr_db=levels(0, 0, 5)), Quiet())
    assert len(low_precision) > 10
    assert not any(low_precision)
