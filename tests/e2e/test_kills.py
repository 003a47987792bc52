"""Hundreds of kill -9, in every stage: what is run to its end then is what an undisturbed run is.

`make test-kills`; KILLS and KILLS_SEED choose how many and when.
"""

import os
import random
import shutil
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest

from tests import published
from tests.e2e import killing

KILLS = int(os.environ.get("KILLS", "500"))
SEED = int(os.environ.get("KILLS_SEED", "0"))
MOST_IN_A_CHAIN = 10
CLASSES = ("airplane", "automobile")
SETTINGS = (
    "audio.sample_rate=8000",
    "audio.seconds=0.5",
    "audio.n_fft=128",
    "audio.hop=64",
    "audio.size=[16, 16]",
    "visual.size=[16, 16]",
    "visual.margin=0",
    "visual.crop=none",
    "model.time_steps=2",
    "model.width=16",
    "model.stages=2",
    "model.heads=2",
    "train.epochs=3",
    "train.batch_size=4",
    "noise.snr_db={start: 0, stop: 20, step: 20}",
)


class Stage(NamedTuple):
    """A command, the home that it begins with, and what it makes of it when nobody disturbs it."""

    name: str
    verb: list[str]
    before: Path
    seconds: float
    outcome: dict[str, str]


def commands(folder: Path) -> dict[str, list[str]]:
    """Write the sources; list the verbs of all stages, each of which goes on after the last."""
    published.class_pairs(folder / "mine", ("audio", "vision"), CLASSES, 20)
    published.class_pairs(folder / "mirror/cifar10-av", ("audio", "vision"), CLASSES, 20)
    for number in range(12):
        place = folder / f"mirror/sloclas/bells/doa{30 * number:03d}/0.wav"
        published.four_channels(place, 0.1, seed=number)
    settings = (*SETTINGS, f"data.path={folder / 'mine'}")
    recipe = ["folder/s_cmrl", *(word for setting in settings for word in ("--set", setting))]
    mirror = ["--from", str(folder / "mirror")]
    return {
        "download": ["download", "cifar10-av", *mirror],
        "download of a record": ["download", "sloclas", *mirror],
        "prepare": ["prepare", *recipe],
        "train": ["train", *recipe],
        "evaluate": ["evaluate"],
        "noise-eval": ["noise-eval"],
        "energy": ["energy"],
        "export": ["export"],
        "explain": ["explain"],
        "report": ["report", "folder"],
        "train --fresh": ["train", *recipe, "--fresh"],
        "run": ["run", *recipe, "--set", "seed=7"],
        "sweep": ["sweep", *recipe, "--set", "train.label_smoothing=0.1", "--seeds", "2"],
    }


def undisturbed(folder: Path) -> list[Stage]:
    """Run every stage once, without a kill."""
    home, stages = folder / "undisturbed", []
    home.mkdir()
    for number, (name, verb) in enumerate(commands(folder).items()):
        before = folder / f"before-{number}"
        shutil.copytree(home, before)
        ended = killing.run(home, verb)
        assert ended.code == 0, (name, ended.said)
        stages.append(Stage(name, verb, before, ended.seconds, killing.outcome(home)))
    return stages


def goes_on(home: Path, stage: Stage) -> None:
    """Run a stage to its end, and what prunes; check that all is as if nothing had happened."""
    for verb in (stage.verb, ["cache", "prune"]):
        ended = killing.run(home, verb)
        assert ended.code == 0, (stage.name, verb[0], ended.said)
    now = killing.outcome(home)
    different = {
        name
        for name in now.keys() | stage.outcome.keys()
        if now.get(name) != stage.outcome.get(name)
    }
    assert not different, (stage.name, sorted(different))
    assert not killing.half_written(home), stage.name


def campaign(folder: Path, stages: list[Stage], counts: dict[str, Counter]) -> None:
    """Kill the stages in turn, in chains that each end in a command that is left alone."""
    moments, kills = random.Random(SEED), counts["kills"]
    while kills.total() < KILLS:
        stage = min(stages, key=lambda one: kills[one.name])
        home = folder / "killed"
        shutil.copytree(stage.before, home)
        for _ in range(min(moments.randint(1, MOST_IN_A_CHAIN), KILLS - kills.total())):
            ended = killing.run(home, stage.verb, moments.uniform(0, stage.seconds))
            if ended.code is not None:  # it got through
                assert ended.code == 0, (stage.name, ended.said)
                break
            kills[stage.name] += 1
            counts["under a lock"][stage.name] += bool(killing.forget_holders(home))
            counts["while writing"][stage.name] += bool(killing.half_written(home))
        goes_on(home, stage)
        counts["bit-equal"][stage.name] += 1
        shutil.rmtree(home)


@pytest.mark.kills
def test_killed_anywhere_every_stage_ends_in_the_same_bits(tmp_path, capsys):
    killing.import_everything()
    stages = undisturbed(tmp_path)
    counts = {name: Counter() for name in ("kills", "under a lock", "while writing", "bit-equal")}
    try:
        campaign(tmp_path, stages, counts)
    finally:
        with capsys.disabled():
            print(f"\n{'stage':22}{'s':>6}", *(f"{name:>14}" for name in counts))
            for name, seconds in [*((one.name, one.seconds) for one in stages), ("all", 0)]:
                found = (c[name] if name != "all" else c.total() for c in counts.values())
                print(f"{name:22}{seconds:6.2f}", *(f"{number:14}" for number in found))
