"""`avsnn cache prune`: it removes what is ours and needed by nobody, and nothing else."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from pipelines.cache import claims
from pipelines.disk import store, temporary
from pipelines.plan.plan import trained_anew
from tests.cli.conftest import SMALL, Started


@pytest.fixture(scope="module")
def dead():
    """The id of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def left_beside(path, pid, *, old=False):
    """Name what a process of this machine, killed meanwhile, has left."""
    part = temporary.beside(path, old=old)
    return part.with_name(part.name.replace(f".{os.getpid()}.", f".{pid}."))


def test_prune_removes_what_killed_processes_left_and_nothing_else(avsnn, prepared, home, dead):
    (image,) = prepared.glob("image-*")
    (image / "receipt.json").unlink()
    (home / "runs" / "r-1").mkdir(parents=True)
    left = [
        left_beside(image.parent / "stft-0", dead),
        left_beside(home / "runs" / "r-1", dead, old=True),
    ]
    for folder in left:
        folder.mkdir(parents=True)
    download = home / "raw" / ".archive.zip.part"  # it resumes
    download.parent.mkdir()
    download.write_text("half an archive")
    before = sorted(home.rglob("*"))
    planned = json.loads(avsnn("cache", "prune", "--dry-run", "--json").out)
    assert sorted(home.rglob("*")) == before
    removed = json.loads(avsnn("cache", "prune", "--json").out)
    assert removed == planned and len(removed) == 3
    assert not image.exists() and not any(folder.exists() for folder in left)
    assert download.exists() and len(list(prepared.glob("stft-*/*"))) == 4


def test_prune_leaves_what_is_being_written(avsnn, prepared, home, dead):
    (image,) = prepared.glob("image-*")
    (image / "receipt.json").unlink()
    part = left_beside(image / "train.h5", dead)
    part.write_text("")
    with store.lock(image, what="the cache"):
        assert avsnn("cache", "prune").out == ""
        assert part.exists()
    assert str(part.relative_to(home)) in avsnn("cache", "prune").out
    assert not image.exists()


def test_a_living_writers_part_stays_whether_or_not_it_holds_a_lock(avsnn, home):
    with store.publish(home / "manifests" / "digits-av-0.receipt.json") as part:
        part.write_text("{}")
        assert avsnn("cache", "prune") == (0, "", "nothing to remove\n")
    assert [path.name for path in (home / "manifests").iterdir()] == ["digits-av-0.receipt.json"]


def test_what_is_not_a_cache_of_ours_is_left_alone_and_named(avsnn, home, tmp_path):
    thesis, data = home / "cache" / "my" / "thesis", home / "cache" / "av" / "stft-0123456789ab"
    for folder in (thesis, data):
        folder.mkdir(parents=True)
        (folder / "chapter.tex").write_text("years of work")
    mine = home / "cache" / "av" / ".draft.4242.part"  # a name that could be anybody's
    mine.write_text("x")
    outside = tmp_path / "outside" / "image-0123456789ab"
    outside.mkdir(parents=True)
    (outside / "train.h5").write_text("x")
    (home / "cache" / "other").symlink_to(tmp_path / "outside")
    (home / "cache" / "av" / "image-0123456789ab").symlink_to(outside)
    (home / "reports").symlink_to(tmp_path / "outside")
    inside = home / "cache" / "av" / "logmel-0123456789ab"
    inside.mkdir()
    (inside / "train.h5").symlink_to(outside / "train.h5")
    before = sorted(tmp_path.rglob("*"))
    said = avsnn("cache", "prune", "--unused")
    assert said.code == 0 and said.out == ""
    for name in ("my/thesis", "av/stft-0123456789ab", "av/logmel-0123456789ab"):
        assert f"cache/{name} is left alone: it is not a cache" in said.err
    for name in ("other", "av/image-0123456789ab"):
        assert f"cache/{name} is left alone: it is a link" in said.err
    assert set(tmp_path.rglob("*")) - set(before) <= {home / "cache" / ".claims.lock"}
    assert set(before) <= set(tmp_path.rglob("*"))


def test_a_cache_folder_that_is_a_link_is_not_followed(avsnn, prepared, home, tmp_path):
    for receipt in prepared.glob("*/receipt.json"):
        receipt.unlink()
    (home / "cache").rename(tmp_path / "elsewhere")
    (home / "cache").symlink_to(tmp_path / "elsewhere")
    before = sorted((tmp_path / "elsewhere").rglob("*"))
    said = avsnn("cache", "prune")
    assert said.out == "" and "cache is left alone: it is a link" in said.err
    assert sorted((tmp_path / "elsewhere").rglob("*")) == before


def test_what_was_moved_aside_and_not_replaced_goes_back(avsnn, home, dead):
    aside = left_beside(home / "runs" / "r-1", dead, old=True)
    aside.mkdir(parents=True)
    (aside / "trained.json").write_text("{}")
    (row,) = json.loads(avsnn("cache", "prune", "--json").out)
    assert row["why"] == "goes back into place"
    assert (home / "runs" / "r-1" / "trained.json").exists() and not aside.exists()


def test_folders_that_vanish_and_appear_meanwhile_are_no_error(avsnn, home):
    code = """
import shutil, sys
from pathlib import Path
home, number = Path(sys.argv[1]), 0
while True:
    number = (number + 1) % 20
    folder = home / "cache" / f"set{number % 3}" / f"stft-{number:012x}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "train.h5").touch()
    shutil.rmtree(home / "cache" / f"set{(number + 1) % 3}", ignore_errors=True)
"""
    other = subprocess.Popen([sys.executable, "-c", code, str(home)], stderr=subprocess.PIPE)
    try:
        for _ in range(60):
            for verb in (("prune",), ("prune", "--unused"), ("ls",)):
                said = avsnn("cache", *verb, "--json")
                assert said.code == 0, said.err
    finally:
        other.kill()
        other.communicate()


@pytest.mark.usefixtures("trained")
def test_unused_caches_go_only_if_asked_for(avsnn, home):
    extra = home / "cache" / "digits-av" / "stft-000000000000"
    (used,) = (home / "cache" / "digits-av").glob("stft-*")
    shutil.copytree(used, extra)
    assert avsnn("cache", "prune").out == "" and extra.exists()
    assert avsnn("cache", "prune", "--unused").code == 0
    assert not extra.exists() and used.exists()


def test_caches_of_a_run_that_is_being_prepared_are_claimed(avsnn, home, prepared):
    plan = json.loads(avsnn("prepare", "quickstart", "--dry-run", "--json").out)
    (image,) = prepared.glob("image-*")
    (image / "receipt.json").unlink()
    with store.lock(image, what="the cache"):  # the run's own process waits in the middle
        training = Started(home, "train", *SMALL)
        training.wait_until(lambda: "waiting for another process" in training.err)
        assert avsnn("cache", "prune", "--unused").out == ""
    assert training.end() == 0, training.err
    assert all((home / row["path"]).exists() for row in plan)
    (run,) = home.glob("runs/quickstart-*")
    assert not (run / claims.CLAIMS).exists()


def test_claims_of_a_run_that_failed_hold_nothing(avsnn, home, prepared):
    run = home / "runs" / "quickstart-000000000000"
    names = [path.name for path in prepared.iterdir() if path.name[0] != "."]
    store.publish_json(trained_anew(run) / claims.CLAIMS, {"caches": names})
    with store.lock(run, what="it"):
        assert avsnn("cache", "prune", "--unused").out == ""
    assert len(json.loads(avsnn("cache", "prune", "--unused", "--json").out)) == len(names) == 2
