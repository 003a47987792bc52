"""kill -9 at random moments of prepare and train: the same command again ends in the same bytes."""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest

KILLS = 20
COMMAND = [
    sys.executable,
    "-m",
    "avsnn_cli",
    "train",
    "quickstart",
    "--quiet",
    "--set",
    "model.width=16",
    "--set",
    "model.heads=2",
    "--set",
    "train.epochs=6",
    "--set",
    "train.batch_size=32",
    "--device",
    "cpu",
]


def start(home):
    return subprocess.Popen(COMMAND, env={**os.environ, "AVSNN_HOME": str(home)})


def outcome(home):
    """Hash every cache file and manifest; return the metrics without seconds."""
    made = sorted([*home.glob("cache/*/*/*.h5"), *home.glob("manifests/*.jsonl")])
    hashes = {
        path.relative_to(home).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in made
    }
    (run,) = home.glob("runs/quickstart-*")
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    for line in lines:
        line.pop("seconds")
    return hashes, lines, json.loads((run / "trained.json").read_text())["sha256"]


@pytest.mark.slow
def test_killed_at_random_moments_ends_in_the_same_bytes(tmp_path):
    began = time.monotonic()
    assert start(tmp_path / "undisturbed").wait() == 0
    undisturbed_s = time.monotonic() - began
    expected = outcome(tmp_path / "undisturbed")

    moments, kills = random.Random(0), 0
    home = tmp_path / "killed-0"
    while kills < KILLS:
        process = start(home)
        try:
            # most runs are killed in training, some while importing or preparing
            process.wait(timeout=moments.uniform(0.1, undisturbed_s))
            assert process.returncode == 0
            assert outcome(home) == expected
            home = tmp_path / f"killed-{kills}"  # it got through: begin anew
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
    assert start(home).wait() == 0
    assert outcome(home) == expected
    leftovers = [path for path in home.rglob("*.part") if "runs" not in path.parts]
    assert leftovers == []
