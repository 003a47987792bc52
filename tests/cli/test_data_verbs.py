"""download, prepare, cache and doctor: sources and caches, whole or said to be damaged."""

import json
from pathlib import Path

import pytest

from avsnn_cli import health
from pipelines.disk import store
from tests.cli.conftest import SMALL, flip_a_bit, in_process, own_process
from tests.unit import flock_preload


def digests(caches):
    return {str(file.relative_to(caches)): store.sha256(file) for file in caches.rglob("*.h5")}


def test_a_dataset_made_offline_needs_no_download(avsnn, home):
    for more in ([], ["--check"], ["--dry-run"]):
        said = avsnn("download", "digits-av", *more)
        assert (said.code, said.out) == (0, f"{home}/raw/digits-av/1\n")
    found = json.loads(avsnn("download", "digits-av", "--json", "--quiet").out)
    assert found == {"dataset": "digits-av", "folder": f"{home}/raw/digits-av/1", "missing": []}


def test_check_names_every_source_that_is_missing(avsnn, home):
    said = avsnn("download", "spoken-digits-av", "--check")
    assert said.code == 4
    faults, hint = said.err.splitlines()[:-1], said.err.splitlines()[-1]
    assert faults[0] == (
        f"error: {home}/raw/spoken-digits-av/1/mnist/train-images-idx3-ubyte.gz: no such file"
    )
    assert len(faults) == 5 and faults[-1].endswith("fsdd/recordings: no such folder")
    assert hint == "hint:  avsnn download spoken-digits-av fetches what is missing"


def test_a_dry_run_downloads_nothing(avsnn, home):
    said = avsnn("download", "spoken-digits-av", "--dry-run")
    assert said.code == 0 and "download: 5 to fetch for spoken-digits-av\n" in said.err
    assert not home.exists()


def test_sources_are_taken_from_a_folder_and_checked(avsnn, home, mirror):
    assert avsnn("download", "spoken-digits-av", "--from", mirror).code == 0
    said = avsnn("download", "spoken-digits-av", "--check")
    assert said.code == 0 and "spoken-digits-av is whole, in " in said.err
    labels = home / "raw/spoken-digits-av/1/mnist/t10k-labels-idx1-ubyte.gz"
    flip_a_bit(labels)
    said = avsnn("download", "spoken-digits-av", "--check")
    assert said.code == 4 and said.first.startswith(f"error: {labels}")


def test_a_mirror_with_wrong_bytes_is_refused(avsnn, home, tmp_path):
    wrong = tmp_path / "wrong" / "mnist" / "train-images-idx3-ubyte.gz"
    wrong.parent.mkdir(parents=True)
    wrong.write_bytes(b"these are not images")
    said = avsnn("download", "spoken-digits-av", "--from", tmp_path / "wrong", "--quiet")
    assert said.code == 4 and str(wrong) in said.first
    assert not list(home.glob("raw/**/*.gz"))


def test_prepare_makes_what_it_said_it_would(avsnn, home, undisturbed):
    planned = json.loads(avsnn("prepare", "quickstart", "--dry-run", "--json").out)
    assert [row["stage"] for row in planned] == ["clips", "cache audio", "cache visual"]
    assert {row["there"] for row in planned} == {"no"} and not home.exists()
    done = avsnn("prepare", "quickstart", "--json")
    assert done.code == 0 and " clips: 1258 train, 270 validation, 269 test\n" in done.err
    made = json.loads(done.out)
    classes = made[0].pop("classes")
    assert [row["class"] for row in classes] == [str(digit) for digit in range(10)]
    sums = [sum(row[split] for row in classes) for split in ("train", "validation", "test")]
    assert sums == [1258, 270, 269]
    assert done.err.rstrip().endswith("all 10   1258         270   269")
    assert made == [row | {"there": "yes"} for row in planned]
    # the other home's caches were made by another process: the same bytes
    assert digests(home / "cache") == digests(undisturbed / "cache") != {}


@pytest.mark.usefixtures("prepared")
def test_prepare_of_a_dataset_makes_the_caches_of_its_recipes(avsnn):
    said = avsnn("prepare", "digits-av")
    assert said.code == 0 and " prepare: hit, " in said.err and said.out == ""
    assert avsnn("prepare", "digits-av", "--quiet") == (0, "", "")


def test_a_truncated_cache_is_refused_until_it_is_forced(avsnn, prepared, undisturbed):
    (file,) = prepared.glob("stft-*/train.h5")
    file.write_bytes(file.read_bytes()[:-1])
    said = avsnn("prepare", "quickstart")
    assert said.code == 4 and said.first.startswith(f"error: cache {file} is damaged: ")
    assert avsnn("status", "quickstart").code == 0
    assert avsnn("prepare", "quickstart", "--force").code == 0
    assert digests(prepared.parent) == digests(undisturbed / "cache") != {}


def test_a_flipped_bit_is_found_before_it_is_trained_on(avsnn, prepared):
    (file,) = prepared.glob("stft-*/train.h5")
    flip_a_bit(file)
    said = avsnn("cache", "verify")
    assert said.code == 4
    assert said.first == f"error: damaged: digits-av/{file.parent.name}"
    rows = json.loads(avsnn("cache", "verify", "--json").out)
    states = {(row["cache"], row["file"]): row["state"] for row in rows}
    assert states.pop((f"digits-av/{file.parent.name}", "train.h5")) == "damaged"
    assert len(states) == 7 and set(states.values()) == {"good"}
    said = avsnn("train", "quickstart", "--quiet")
    assert said.code == 4 and said.first.startswith(f"error: cache {file} is damaged")


def test_a_damaged_receipt_hides_no_other_cache(avsnn, prepared):
    (receipt,) = prepared.glob("image-*/receipt.json")
    receipt.write_text("{")
    rows = json.loads(avsnn("cache", "verify", "--json").out)
    assert {
        "cache": f"digits-av/{receipt.parent.name}",
        "file": "receipt.json",
        "state": "damaged",
    } in rows
    assert [row["state"] for row in rows].count("good") == 4
    assert avsnn("cache", "verify").code == 4


@pytest.mark.usefixtures("prepared")
def test_cache_ls_lists_sizes(avsnn):
    rows = json.loads(avsnn("cache", "ls", "--json").out)
    assert [row["cache"].split("-")[1] for row in rows] == ["av/image", "av/stft"]
    assert all(row["state"] == "whole" and 0.5 < row["MB"] < 5 for row in rows)
    assert avsnn("cache", "ls").out.splitlines()[0].split() == ["cache", "MB", "state"]


def test_without_caches_the_cache_verbs_say_so(avsnn):
    assert avsnn("cache", "ls") == (0, "", "no caches yet\n")
    assert avsnn("cache", "verify") == (0, "", "no caches yet\n")
    assert avsnn("cache", "prune") == (0, "", "nothing to remove\n")
    assert avsnn("cache", "ls", "--json") == (0, "[]\n", "")


def test_doctor_finds_the_machine_fit(avsnn, home):
    said, found = avsnn("doctor"), json.loads(avsnn("doctor", "--json").out)
    assert said.code == 0
    checks = {row["check"]: row["level"] for row in found}
    assert {"python", "torch", "h5py", "cpu", "home", "locks", "mirror"} <= set(checks)
    assert "broken" not in checks.values()
    assert f"ok     home: {home}" in said.out


@pytest.mark.skipif(flock_preload.compiler() is None, reason="compiles a library to preload")
def test_doctor_finds_locks_that_are_missing_or_let_a_second_one_in(home, tmp_path):
    for lets_all_in, found in (
        (False, "has no locks"),
        (True, "two processes can hold the same lock at once"),
    ):
        preloaded = flock_preload.variables(tmp_path, lets_all_in=lets_all_in)
        said = own_process(home, "doctor", "--json", **preloaded)
        rows = {row["check"]: row for row in json.loads(said.out)}
        assert said.code == 5 and said.first == "error: not fit to run: locks"
        assert found in rows["locks"]["found"] and "AVSNN_HOME" in rows["locks"]["fix"]
        assert rows["home"]["level"] in ("ok", "note")
    assert list(home.iterdir()) == []  # it leaves nothing behind


@pytest.mark.skipif(flock_preload.compiler() is None, reason="compiles a library to preload")
def test_without_locks_nothing_is_prepared_or_trained(home, tmp_path):
    preloaded = flock_preload.variables(tmp_path)
    for verb in ("prepare", "train"):
        said = own_process(home, verb, *SMALL, "--quiet", **preloaded)
        assert said.code == 5 and said.first.startswith("error: cannot lock ")
        assert "has no locks (flock: " in said.first and len(said.err.splitlines()) == 2


def test_locks_of_one_machine_are_told_by_the_mount():
    mounts = (
        "21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
        "40 21 0:40 / /scratch rw,noatime - lustre mds@tcp:/fs rw,localflock,lazystatfs\n"
        "41 21 0:41 / /home\\040of/all rw - nfs host:/home rw,vers=3,local_lock=all,addr=1.2.3.4\n"
        "42 21 0:42 / /scratch/shared rw master:3 - lustre mds@tcp:/fs rw,flock\n"
        "43 40 0:43 / /scratch/here rw - tmpfs tmpfs rw\n"
    )
    found = {
        "/scratch/me": "localflock",
        "/scratch": "localflock",
        "/home of/all/x": "local_lock=all",
        "/scratch/shared/x": "",
        "/scratch/here": "",
        "/scratches": "",
        "/": "",
    }
    assert {name: health.local_locks(Path(name), mounts) for name in found} == found
    assert health.local_locks(Path("/x"), "nonsense\n - \n") == ""


def test_doctor_says_what_is_broken_and_its_fix(tmp_path):
    (tmp_path / "file").write_text("")
    said = in_process(tmp_path / "file" / "home", "doctor")
    assert said.code == 5 and said.first == "error: not fit to run: home"
    assert "fix: set AVSNN_HOME to a folder that is writable" in said.out


def test_quiet_says_nothing_but_errors(avsnn):
    assert avsnn("prepare", "quickstart", "-q") == (0, "", "")
