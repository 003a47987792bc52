"""What `prepare` refuses or says of the user's classes, splits, groups and unusable clips."""

import json
import re
from pathlib import Path

import pytest

from pipelines.clips.clips import SPLITS
from tests import published
from tests.cli.conftest import in_process

SMALL = (
    "audio.sample_rate=8000",
    "audio.seconds=0.5",
    "audio.n_fft=128",
    "audio.hop=64",
    "audio.size=[16, 16]",
    "visual.size=[16, 16]",
    "visual.margin=0",
    "visual.crop=none",
    "train.epochs=1",
    "model.width=16",
    "model.heads=2",
    "model.stages=2",
)


def avsnn(home, verb, *settings):
    words = [
        word for s in (*SMALL, f"data.path={home / 'mine'}", *settings) for word in ("--set", s)
    ]
    return in_process(home, verb, "folder/s_cmrl", *words, "--json")


def given(home, **counts):
    """Write class folders below splits: class_split -> pairs."""
    seed = 0
    for place, count in counts.items():
        label, split = place.split("_")
        for i in range(count):
            seed += 1
            stem = home / "mine" / split / label / f"{i}"
            published.wav(stem.with_suffix(".wav"), seed=seed)
            published.png(stem.with_suffix(".png"), seed=seed)


def test_prepare_ends_with_the_classes_and_their_counts_made_or_there(home):
    given(home, dog_train=5, dog_val=2, dog_test=3, rain_train=4, rain_val=1, rain_test=2)
    wanted = [
        {"class": "dog", "train": 5, "validation": 2, "test": 3},
        {"class": "rain", "train": 4, "validation": 1, "test": 2},
    ]
    for state in ("done", "hit"):
        said = avsnn(home, "prepare")
        assert said.code == 0 and json.loads(said.out)[0]["classes"] == wanted, said.err
        *before, head, dog, rain, total = said.err.splitlines()
        assert f" prepare: {state}, " in "\n".join(before)
        assert " split: given by the folders test, train, val" in said.err
        assert [line.split()[1:] for line in (head, dog, rain, total)] == [
            ["class", *SPLITS],
            ["dog", "5", "2", "3"],
            ["rain", "4", "1", "2"],
            ["all", "2", "9", "3", "5"],
        ]
        assert max(map(len, (head, dog, rain, total))) <= 80
    said = avsnn(home, "prepare", "data.protocol=random")
    assert " notice: the data bring a split (the folders test, train, val)" in said.err


def test_a_class_without_training_clips_stops_before_anything_is_made(home):
    given(home, dog_train=5, dog_test=3, rain_train=4, rain_test=2, owl_test=4, owl_val=2)
    given(home, dog_val=1, rain_val=1)
    said = avsnn(home, "prepare")
    assert said.code == 4 and "no clip for training of class owl (validation 2, test 4)" in said.err
    assert not list(home.glob("manifests/*.jsonl")) and not list(home.glob("cache/**/*.h5"))


def test_a_class_whose_training_clips_cannot_be_read_is_one_without(home):
    given(home, dog_train=8, dog_test=3, rain_train=3, rain_test=2, dog_val=1, rain_val=1)
    for i in range(3):
        (home / f"mine/train/rain/{i}.wav").write_bytes(b"RIFF")
    for _ in range(2):  # made, and there
        said = avsnn(home, "run", "data.max_excluded_share=1.0")
        assert said.code == 4 and "no clip for training of class rain" in said.err
    assert not list(home.glob("runs/*/trained.json"))


def test_without_groups_the_audit_says_not_known_and_a_pattern_makes_it_known(home):
    """Stems as in ESC-50: fold, recording, take, class."""
    recordings = {}
    for label, name in enumerate(("dog", "rain")):
        for i in range(20):
            stem = f"1-{label * 100 + i // 3}-{'ABC'[i % 3]}-{label}"
            recordings[stem] = stem.split("-")[1]
            published.wav(home / "mine" / name / f"{stem}.wav", seed=100 * label + i)
            published.png(home / "mine" / name / f"{stem}.png", seed=100 * label + i)
    said = avsnn(home, "prepare")
    assert "leak audit: not known whether 8 of 8 test clips share a recording" in said.err
    assert "set data.group_pattern, or give a table the column group" in said.err
    assert "groups with training" not in said.err
    listed = Path(json.loads(said.out)[0]["path"]).read_text()
    clips = [json.loads(line) for line in listed.splitlines()]
    learned = {recordings[c["id"].split("/")[1]] for c in clips if c["split"] != "test"}
    shared = sum(
        recordings[c["id"].split("/")[1]] in learned for c in clips if c["split"] == "test"
    )
    said = avsnn(home, "prepare", "data.group_pattern=^1-([0-9]+)-")
    assert shared > 3 and f"leak audit: {shared} of 8 test clips" in said.err
    assert "not known" not in said.err


@pytest.mark.parametrize("place", ["mine/train/dog/0.wav", "mine/train/dog/0.png"])
def test_the_limit_on_unusable_clips_is_a_setting_that_the_message_names(home, place):
    given(home, dog_train=8, dog_test=3, rain_train=8, rain_test=2, dog_val=1, rain_val=1)
    (home / place).write_bytes(b"")
    said = avsnn(home, "prepare")
    assert said.code == 4 and "is empty" in said.err and "fetch" not in said.err
    above = re.search(r"set data\.max_excluded_share above ([0-9.]+)", said.err)[1]
    (home / place).write_bytes(b"damaged, and found when it is decoded")
    said = avsnn(home, "prepare")
    assert said.code == 4 and "fetch" not in said.err and "data.max_excluded_share" in said.err
    said = avsnn(home, "prepare", f"data.max_excluded_share={float(above) + 0.01}")
    assert said.code == 0 and "left out: 1 of 23" in said.err
    assert json.loads(said.out)[0]["classes"][0] == {
        "class": "dog",
        "train": 7,
        "validation": 1,
        "test": 3,
    }


def test_the_limit_is_in_no_key_and_holds_for_what_is_there(home):
    given(home, dog_train=8, dog_test=3, rain_train=8, rain_test=2, dog_val=1, rain_val=1)
    for name in ("dog", "rain"):
        (home / f"mine/train/{name}/0.wav").write_bytes(b"RIFF")
    said = avsnn(home, "run", "data.max_excluded_share=0.5")
    assert said.code == 0, said.err
    (folder,) = home.glob("runs/*/")
    assert json.loads(said.out)["folder"] == str(folder)
    said = avsnn(home, "train", "data.max_excluded_share=0.2")
    assert said.code == 0 and "train: hit" in said.err
    said = avsnn(home, "prepare", "data.max_excluded_share=0.2")
    assert said.code == 0 and "prepare: hit" in said.err
    said = avsnn(home, "prepare")  # 1 %
    assert said.code == 4 and "data.max_excluded_share: 2 of 23" in said.err
    said = avsnn(home, "status", "data.max_excluded_share=0.3")
    assert {row["state"] for row in json.loads(said.out)} >= {"hit"} and "max_excl" not in said.out
