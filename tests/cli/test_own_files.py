"""The user's folder through the command line: what is a hit, what is a miss and by which file."""

import json
import os
import shutil
from pathlib import Path

import pytest

from pipelines.disk import seal
from tests import published
from tests.cli.conftest import in_process
from tests.cli.test_every_dataset import SMALL_IMAGE, SMALL_SOUND

SMALL = ("train.epochs=1", "model.width=16", "model.heads=2", "model.stages=2")


class Mine:
    """A folder of two classes, and the commands over it."""

    def __init__(self, base: Path, each: int) -> None:
        self.home, self.folder = base / "home", base / "mine"
        published.class_pairs(self.folder, ("audio", "vision"), ("cat", "owl"), each)

    def __call__(self, verb, *more):
        settings = [*SMALL_SOUND, *SMALL_IMAGE, *SMALL, f"data.path={self.folder}"]
        chosen = [word for s in settings for word in ("--set", s)]
        return in_process(self.home, verb, "folder/s_cmrl", *chosen, *more)

    def clips(self):
        """Return the row of `status` about the clips."""
        said = self("status", "--json")
        assert said.code == 0, said.err
        return next(row for row in json.loads(said.out) if row["stage"] == "clips")


@pytest.fixture
def mine(tmp_path):
    return Mine(tmp_path, 20)


@pytest.fixture
def many(tmp_path):
    return Mine(tmp_path, 60)


def test_a_miss_names_the_file_and_what_is_not_read_makes_none(mine):
    assert mine("prepare").code == 0
    for name in ("README.txt", "audio/cat/notes.md", ".git/HEAD", "audio/.DS_Store"):
        (mine.folder / name).parent.mkdir(exist_ok=True)
        (mine.folder / name).write_text("not read")
    sound = next((mine.folder / "audio/cat").glob("*.wav"))
    os.utime(sound)
    said = mine("prepare")
    assert said.code == 0 and "prepare: hit" in said.err
    then = sound.stat()
    sound.write_bytes(sound.read_bytes()[:-1] + b"\x07")  # as long and as old as it was
    os.utime(sound, ns=(then.st_atime_ns, then.st_mtime_ns))
    shutil.copy(sound, sound.with_name("new.wav"))
    image = min((mine.folder / "vision/cat").glob("*.png"))
    shutil.copy(image, image.with_name("new.png"))
    row = mine.clips()
    first = f"not with these files: audio/cat/{sound.name} has changed, audio/cat/new.wav is new"
    assert row["state"] == "miss" and row["detail"].startswith(first)
    for name in ("audio/cat/new.wav", "vision/cat/new.png"):
        (mine.folder / name).unlink()
    for tree, suffix in (("audio", "wav"), ("vision", "png")):
        (mine.folder / tree / f"owl/100-0.{suffix}").unlink()
    said = mine("prepare")
    assert said.code == 0
    gone = "audio/owl/100-0.wav is gone or left out, vision/owl/100-0.png is gone or left out"
    assert f"audio/cat/{sound.name} has changed, {gone}; folder-" in said.err


def test_an_empty_class_folder_moves_no_label(mine):
    assert mine("run").code == 0
    (run,) = (path.parent for path in (mine.home / "runs").glob("*/trained.json"))
    assert json.loads((run / "env.json").read_text())["classes"] == ["cat", "owl"]
    before = (run / "eval.json").read_bytes()
    (mine.folder / "audio/dog").mkdir()
    for said in (mine("prepare"), mine("run"), in_process(mine.home, "evaluate", "--force")):
        assert said.code == 4 and "dog holds no sound, image or video" in said.err
    assert (run / "eval.json").read_bytes() == before
    for kind, name in (
        ("audio", "wav"),
        ("vision", "png"),
    ):  # a class that is filled is another one
        (mine.folder / kind / "dog").mkdir(exist_ok=True)
        for path in (mine.folder / kind / "owl").iterdir():
            shutil.copy(path, mine.folder / kind / "dog" / f"dog{path.stem}.{name}")
    said = in_process(mine.home, "evaluate", "--force")
    assert said.code == 4 and "have changed since it was trained" in said.err
    assert "dog0" not in said.err.split(";")[0] and "is new" in said.err
    assert (run / "eval.json").read_bytes() == before


def test_a_run_of_other_classes_than_its_clips_is_refused(mine):
    assert mine("run").code == 0
    (run,) = (path.parent for path in (mine.home / "runs").glob("*/trained.json"))
    (receipt,) = (mine.home / "manifests").glob("folder-*.receipt.json")
    for path, whose in ((run / "env.json", f"run {run.name}"), (receipt, "folder-")):
        whole = path.read_text()
        seal.publish(path, json.loads(whole) | {"classes": ["cat", "dog"]})
        for verb in ("evaluate", "noise-eval"):
            said = in_process(mine.home, verb, "--force")
            assert said.code == 4 and f"the classes of {whose}" in said.err, said.err
        path.write_text(whole)
    assert in_process(mine.home, "evaluate", "--force").code == 0


ODD = {
    "long": "/".join(["d" * 120, "e" * 120, "f" * 200]),
    "separators": "a\u2028b\u0085c",
    "controls": "a\x0bb\x1cc",
}


@pytest.mark.parametrize("kind", ODD)
def test_a_name_of_any_length_and_sign_is_prepared_and_read_again(many, kind):
    for tree, suffix in (("audio", "wav"), ("vision", "png")):
        new = many.folder / tree / "cat" / f"{ODD[kind]}.{suffix}"
        new.parent.mkdir(parents=True, exist_ok=True)
        (many.folder / tree / "cat" / f"3-0.{suffix}").rename(new)
    assert many("prepare").code == 0
    for cache in (many.home / "cache/folder").glob("*-*/"):
        shutil.rmtree(cache)
    said = many("prepare")  # from the manifest that is there
    assert said.code == 0 and "left out" not in said.err, said.err


def test_a_name_that_is_not_utf8_is_left_out_counted_and_named(many):
    for tree, suffix in (("audio", "wav"), ("vision", "png")):
        path = many.folder / tree / "cat" / f"3-0.{suffix}"
        path.rename(path.with_name(os.fsdecode(b"caf\xe9") + f".{suffix}"))
    said = many("prepare")
    assert said.code == 0, said.err
    assert "left out: 1 of 120\n" in said.err
    assert "cat/caf\\xe9: its name is not UTF-8" in said.err
    assert "prepare: hit" in many("prepare").err


def test_a_number_carries_the_protocol_that_auto_stood_for(mine):
    assert mine("train").code == 0
    said = in_process(mine.home, "evaluate", "--json")
    assert said.code == 0, said.err
    assert json.loads(said.out)["protocol"] == "random"
    (receipt,) = (mine.home / "manifests").glob("*.receipt.json")
    assert json.loads(receipt.read_text())["protocol"] == "random"
