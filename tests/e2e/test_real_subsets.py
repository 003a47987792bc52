"""Two data sets of real pieces: prepared, trained for an epoch and evaluated, as users do it."""

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from pipelines.download import manifest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def avsnn(tmp_path, mirror):
    def run(*arguments):
        environment = {
            **os.environ,
            "AVSNN_HOME": str(tmp_path / "home"),
            "PYTHONPATH": str(ROOT),
            "AVSNN_MIRROR": str(mirror),
        }
        done = subprocess.run(
            [sys.executable, "-m", "avsnn_cli", *arguments, "--json"],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=environment,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout), done.stderr

    return run


def clips(home, name):
    (path,) = (home / "manifests").glob(f"{name}-*.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_sample_of_n_mnist_with_spoken_digits(avsnn, tmp_path):
    """1,100 real recordings of events with real speech."""
    _, said = avsnn("train", "n_mnist_spoken_small/s_cmrl", "--set", "train.epochs=1")
    found, _ = avsnn("evaluate")
    assert found["n"] == 100
    # 16 steps teach nothing that 100 clips could show: its answers need not be right
    assert 0 <= found["accuracy"] <= 1 and "1 of 1" in said
    listed = clips(tmp_path / "home", "n-mnist-spoken-small")
    assert Counter(clip["split"] for clip in listed) == {
        "train": 900,
        "validation": 100,
        "test": 100,
    }
    assert "0 of 100 test clips (0.0%) share 0 visual sources" in said
    assert "100 of 100 test clips (100.0%) share 6 speakers" in said
    checked, _ = avsnn("download", "n-mnist-spoken-small", "--check")
    assert checked["missing"] == checked["changed"] == []


def test_160_clips_of_urbansound8k_with_images_that_stand_in(avsnn, mirror, tmp_path):
    """8 clips a class of folds 1 and 2, resampled by others, hence put there by hand."""
    raw = tmp_path / "home/raw/urbansound8k" / manifest.load_manifest("urbansound8k").version
    raw.mkdir(parents=True)
    shutil.copytree(mirror / "urbansound8k-subset/UrbanSound8K", raw / "UrbanSound8K")
    _, said = avsnn(
        "train",
        "urbansound8k/s_cmrl_stand_in_images",
        "--set",
        "data.present_only=true",
        "--set",
        f"data.images={mirror / 'cifar10-subset/train'}",
        "--set",
        "train.epochs=1",
    )
    found, _ = avsnn("evaluate")
    listed = clips(tmp_path / "home", "urbansound8k")
    assert len(listed) == 160 and len({clip["group"] for clip in listed}) == 152
    assert Counter(clip["label"] for clip in listed) == dict.fromkeys(range(10), 16)
    assert found["n"] == sum(clip["split"] == "test" for clip in listed)
    assert 0.25 < found["n"] / 160 < 0.35 and 0 <= found["accuracy"] <= 1
    assert list((tmp_path / "home/runs").glob("urbansound8k-s_cmrl_stand_in_images-*"))
    # grouped by recording: nothing is shared, not even equal or alike images
    assert "share 0 groups" in said and "share 0 visual sources" in said
    alike = [line for line in said.splitlines() if "visual test sources" in line]
    assert alike and all(line.split("leak audit: ")[1].startswith("0 of") for line in alike)
