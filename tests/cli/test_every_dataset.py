"""`avsnn prepare` of every data set, from files in its published layout to its caches."""

import json
import re
from pathlib import Path

import h5py
import numpy as np
import pytest
import soundfile

from pipelines import registry
from pipelines.datasets import _cifar10, cifar10_sounds, sloclas
from pipelines.download import manifest
from tests import published
from tests.cli.conftest import in_process
from tests.unit.test_video import film

SMALL_SOUND = (
    "audio.sample_rate=8000",
    "audio.seconds=0.5",
    "audio.n_fft=128",
    "audio.hop=64",
    "audio.size=[16, 16]",
)
SMALL_MEL = (*SMALL_SOUND, "audio.f_max=4000.0", "audio.n_mels=16")
SMALL_IMAGE = ("visual.size=[16, 16]", "visual.margin=0", "visual.crop=none")


def urbansound8k(raw, _):
    published.urbansound8k(raw, recordings=1)


def urbansound8k_images(raw, home):
    published.urbansound8k(raw, recordings=1)
    for label, name in enumerate(_cifar10.CLASSES):
        for i in range(9):
            published.png(home / "pictures" / name / f"{i}.png", 100 * label + i)


def urbansound8k_av(raw, _):
    published.urbansound8k_av(raw / "urbansound8k-av", ("audio", "vision"), each=20)


def cifar10_av(raw, _):
    published.class_pairs(raw / "cifar10-av", ("audio", "vision"), _cifar10.CLASSES, 24)


def cifar10_with_sounds(raw, home):
    published.cifar10_binary(raw / cifar10_sounds.BINARY, 30)
    for label, name in enumerate(_cifar10.CLASSES):
        for i in range(12):
            published.wav(home / "sounds" / name / f"{100 * label + i}.wav", seed=100 * label + i)


def crema_d(raw, _):
    lists = raw / "crema-d-ogm-split"
    lists.mkdir(parents=True)
    (raw / "AudioWAV").mkdir()
    (raw / "VideoFlash").mkdir()
    content = film(raw / "x.flv", codec="flv1", count=10, first=5).read_bytes()
    (raw / "x.flv").unlink()
    rows = []
    for actor in range(1001, 1013):
        for number, emotion in enumerate(("ANG", "DIS", "FEA", "HAP", "NEU", "SAD")):
            name = f"{actor}_IEO_{emotion}_XX"
            published.wav(raw / "AudioWAV" / f"{name}.wav", 0.4, 16000, 10 * actor + number)
            (raw / "VideoFlash" / f"{name}.flv").write_bytes(content)
            rows.append(f"{name},{emotion}")
    (lists / "train.csv").write_text("\n".join(rows[:-12]))
    (lists / "test.csv").write_text("\n".join(rows[-12:]))


def mnistdvs_ntidigits(raw, _):
    published.mnist_dvs(raw, each=20)
    published.ntidigits(raw / "n-tidigits.hdf5")


def n_mnist_spoken(raw, _):
    published.n_mnist(raw, each=10)
    published.fsdd(raw / "fsdd/recordings")


def sloclas_segments(raw, _):
    for number, kind in enumerate(sloclas.CLASSES):
        for azimuth in range(0, 360, 90):
            for take in range(5):
                path = raw / "sloclas" / kind / f"doa{azimuth:03d}" / f"{take}.wav"
                published.four_channels(path, 0.3, seed=10 * number + azimuth + take)


def tau_sse_2019(raw, _):
    from pipelines.datasets import tau_sse_2019 as module

    for folder in ("mic_eval", "metadata_eval"):
        (raw / folder).mkdir(parents=True)
    for fold in (1, 2, 3, 4):
        for number, kind in enumerate(module.CLASSES):
            name = f"split{fold}_ir0_ov1_{number + 1}"
            published.four_channels(raw / "mic_dev" / f"{name}.wav", 0.5, seed=20 * fold + number)
            published.tau_table(raw / "metadata_dev" / f"{name}.csv", [f"{kind},0.1,0.4,-10,-10,2"])


def nothing(_raw, _home):
    """An offline data set makes itself."""


def your_folder(_, home):
    published.class_pairs(home / "mine", ("audio", "vision"), ("dog", "rain"), 12)


CASES = {
    "urbansound8k/spikformer_audio": (urbansound8k, SMALL_SOUND, 200),
    "urbansound8k/s_cmrl_stand_in_images": (
        urbansound8k_images,
        (*SMALL_SOUND, *SMALL_IMAGE, "data.images={home}/pictures"),
        200,
    ),
    "urbansound8k_av/s_cmrl": (urbansound8k_av, (*SMALL_SOUND, *SMALL_IMAGE), 200),
    "cifar10_av/s_cmrl": (cifar10_av, (*SMALL_SOUND, *SMALL_IMAGE), 240),
    "cifar10_sounds/s_cmrl": (
        cifar10_with_sounds,
        (*SMALL_SOUND, *SMALL_IMAGE, "data.audio_folder={home}/sounds"),
        180,
    ),
    "crema_d/s_cmrl": (crema_d, (*SMALL_SOUND, *SMALL_IMAGE), 72),
    "crema_d/s_cmrl_paper": (crema_d, (*SMALL_SOUND, *SMALL_IMAGE), 72),
    "mnistdvs_ntidigits/s_cmrl": (mnistdvs_ntidigits, (), 200),
    "mnistdvs_ntidigits/s_cmrl_paper": (mnistdvs_ntidigits, (), 200),
    "n_mnist_spoken/s_cmrl": (n_mnist_spoken, SMALL_SOUND, 200),
    "sloclas/spikformer_audio": (sloclas_segments, SMALL_MEL, 200),
    "tau_sse_2019/spikformer_audio": (tau_sse_2019, SMALL_MEL, 44),
    "array_sim/spikformer_audio": (nothing, SMALL_MEL, None),
    "folder/s_cmrl": (your_folder, (*SMALL_SOUND, *SMALL_IMAGE, "data.path={home}/mine"), 24),
}


@pytest.mark.parametrize("recipe", CASES)
def test_it_is_prepared_from_its_published_layout(home, monkeypatch, recipe):
    make, settings, count = CASES[recipe]
    monkeypatch.setattr(cifar10_sounds, "BATCH_ROWS", 30)
    name = recipe.split("/")[0].replace("_", "-")
    make(home / "raw" / name / manifest.load_manifest(name).version, home)
    home.mkdir(exist_ok=True)
    chosen = [word for s in settings for word in ("--set", s.format(home=home))]
    said = in_process(home, "prepare", recipe, *chosen, "--json")
    assert said.code == 0, said.err
    assert "leak audit:" in said.err
    stages = {row["stage"]: row for row in json.loads(said.out)}
    assert all(row["there"] == "yes" for row in stages.values())
    clips = [json.loads(line) for line in Path(stages["clips"]["path"]).read_text().splitlines()]
    assert len(clips) == count or count is None
    classes = len(manifest.load_manifest(name).classes) or 2
    assert {clip["label"] for clip in clips} == set(range(classes))
    for stage, row in stages.items():
        if stage == "clips":
            continue
        modality = stage.removeprefix("cache ")
        cached = {}
        for split in ("train", "validation", "test"):
            with h5py.File(f"{row['path']}/{split}.h5") as file:
                rows = file["rows"][()].astype(float)
                assert np.isfinite(rows).all() and rows.std() > 0
                cached |= dict.fromkeys((split, name.decode()) for name in file["source"][()])
        assert set(cached) == {(clip["split"], clip[modality]) for clip in clips}


def test_every_data_set_is_among_them():
    # prepared from real files, or without any, elsewhere
    others = {"spoken-digits-av", "n-mnist-spoken-small", "digits-av", "digits-events"}
    here = {recipe.split("/")[0].replace("_", "-") for recipe in CASES}
    assert here | others == set(registry.names("dataset")) and not here & others


def test_a_name_prepares_what_its_recipes_need_and_leaves_out_what_lacks_a_folder(home):
    """Most of urbansound8k's recipes need images that only the user has, one has no sound."""
    urbansound8k(home / "raw/urbansound8k/1", home)
    said = in_process(home, "prepare", "urbansound8k", "--json", "--set", "audio.size=[16, 16]")
    assert said.code == 0, said.err
    assert {row["recipe"] for row in json.loads(said.out)} == {"urbansound8k/spikformer_audio"}
    assert said.err.count("left out: urbansound8k/") == 2  # one line a reason, not a recipe
    assert "s_cmrl_stand_in_images" in said.err and "images is neither a file nor" in said.err


def test_bad_clips_are_left_out_of_everything_counted_and_named(home):
    """A broken sound and a broken image among 240 pairs of one's own."""
    folder = home / "mine"
    published.class_pairs(folder, ("audio", "vision"), ("dog", "rain"), 120)
    (folder / "audio/dog/3-0.wav").write_bytes(b"RIFF")
    (folder / "audio/dog/notes.txt").write_text("my own")
    soundfile.write(folder / "audio/rain/104-1.wav", np.full(800, np.nan), 8000, subtype="FLOAT")
    settings = [
        *SMALL_SOUND,
        *SMALL_IMAGE,
        f"data.path={folder}",
        "train.epochs=1",
        "model.width=16",
        "model.heads=2",
        "model.stages=2",
        "train.batch_size=16",
    ]
    chosen = [word for s in settings for word in ("--set", s)]
    said = in_process(home, "run", "folder/s_cmrl", *chosen, "--json")
    assert " not read: .txt (1)\n" in said.err
    assert said.code == 0, said.err
    assert "2 of 240" in said.err and "3-0.wav" in said.err and "104-1.wav" in said.err
    (receipt,) = (home / "cache/folder").glob("stft-*/receipt.json")
    assert {name.split("/")[-1] for name in json.loads(receipt.read_text())["excluded"]} == {
        "3-0.wav",
        "104-1.wav",
    }
    n = json.loads(said.out)["n"]
    (clips,) = (home / "manifests").glob("folder-*.jsonl")
    test = [c for c in map(json.loads, clips.open()) if c["split"] == "test"]
    bad = [c for c in test if c["audio"].endswith(("/3-0.wav", "/104-1.wav"))]
    assert n == len(test) - len(bad)


def test_a_run_is_never_tested_on_other_data_than_its_own(home):
    """A clip more gives another split: some of its test clips were learned from."""
    folder = home / "mine"
    published.class_pairs(folder, ("audio", "vision"), ("dog", "rain"), 20)
    settings = [
        *SMALL_SOUND,
        *SMALL_IMAGE,
        f"data.path={folder}",
        "train.epochs=1",
        "model.width=16",
        "model.heads=2",
        "model.stages=2",
    ]
    chosen = [word for s in settings for word in ("--set", s)]
    assert in_process(home, "run", "folder/s_cmrl", *chosen).code == 0
    (run,) = (path.parent for path in (home / "runs").glob("*/trained.json"))
    before = {path: path.read_bytes() for path in run.glob("*.json")}
    for kind, name in (("audio", "dog/more.wav"), ("vision", "dog/more.png")):
        source = next((folder / kind / "dog").iterdir())
        (folder / kind / name).write_bytes(source.read_bytes())
    said = in_process(home, "status", "folder/s_cmrl", *chosen, "--json")
    (clips,) = (row for row in json.loads(said.out) if row["stage"] == "clips")
    assert clips["state"] == "miss" and re.search(r" has files \w+, not \w+$", clips["detail"])
    for verb in ("evaluate", "noise-eval", "energy", "explain", "export"):
        said = in_process(home, verb, "--force")
        assert said.code == 4 and "have changed since it was trained" in said.err, (verb, said)
    assert in_process(home, "predict", "--audio", str(folder / "audio/dog/more.wav")).code == 4
    assert {path: path.read_bytes() for path in run.glob("*.json")} == before
    assert in_process(home, "evaluate").code == 0  # what was found then is still true


def test_a_network_that_hears_spikes_alone_runs_without_a_noise_curve(home):
    """There is no waveform to put noise on: said, and no error at the end of a night."""
    mnistdvs_ntidigits(home / "raw/mnistdvs-ntidigits/1", home)
    said = in_process(
        home,
        "run",
        "mnistdvs_ntidigits/spikformer_audio_paper",
        "--set",
        "train.epochs=1",
        "--set",
        "model.width=16",
        "--set",
        "model.heads=2",
        "--json",
    )
    assert said.code == 0, said.err
    assert json.loads(said.out)["noise"] is None and "noise-eval: left out" in said.err
