"""train, evaluate, noise-eval, run, status on a trained run: results, hits and damage."""

import csv
import json
import os
import re
import subprocess
import sys

import pytest
import torch

from pipelines.disk import seal
from tests.cli.conftest import PATIENCE_S, SMALL, environment, flip_a_bit
from tests.unprivileged import unprivileged

STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d"


def test_a_result_carries_what_makes_it_a_result(evaluated):
    for said in evaluated:
        result = json.loads(said.out)
        assert result["recipe"] == "quickstart" and result["dataset"] == "digits-av"
        assert result["protocol"] == "stratified" and result["split"] == "test"
        assert result["seed"] == 0 and result["data_seed"] == 0
        assert re.fullmatch(r"best-validation \(epoch [12]\)", result["selection"])
        assert result["n"] == 269
        assert re.fullmatch("[0-9a-f]{64}", result["weights_sha256"])


def test_the_accuracy_is_that_of_the_predictions(evaluated, undisturbed):
    result = json.loads(evaluated[0].out)
    (clips,) = (undisturbed / "manifests").glob("digits-av-*.jsonl")
    labels = {
        clip["id"]: clip["label"]
        for clip in map(json.loads, clips.open())
        if clip["split"] == "test"
    }
    assert labels.keys() == result["predictions"].keys()
    right = sum(result["predictions"][name] == label for name, label in labels.items())
    assert result["correct"] == right and result["accuracy"] == right / 269


def test_the_noise_curve_has_both_ends_and_the_clean_point(evaluated, undisturbed):
    clean, noisy = (json.loads(said.out) for said in evaluated)
    assert [point["snr_db"] for point in noisy["points"]] == [None, 0.0, 15.0, 30.0]
    assert noisy["points"][0]["accuracy"] == clean["accuracy"]
    (run,) = (undisturbed / "runs").glob("quickstart-*")
    rows = list(csv.DictReader((run / "noise-both_0to30by15dB.csv").open()))
    assert [row["snr_db"] for row in rows] == ["", "0.0", "15.0", "30.0"]
    assert (run / "noise-both_0to30by15dB.png").read_bytes()[:4] == b"\x89PNG"
    assert (run / "confusion.png").read_bytes()[:4] == b"\x89PNG"


def test_every_line_without_a_terminal_has_its_time(evaluated):
    for said in evaluated:
        lines = said.err.splitlines()
        assert lines and all(re.match(f"{STAMP} [a-z-]+: ", line) for line in lines)
        assert "\x1b" not in said.err and "\r" not in said.err


def test_the_runs_log_tells_its_story(trained):
    said = [line[20:] for line in (trained / "run.log").read_text().splitlines()]
    told = [line.split(":")[0] for line in said]
    stages = ("clips", "prepare", "epoch 1", "epoch 2", "train", "evaluate", "noise-eval")
    order = [told.index(stage) for stage in stages]
    assert order == sorted(order)
    assert re.fullmatch(r"epoch 2: loss \d\.\d{4}, validation [\d.]+%, .*", said[order[3]])


def test_a_second_time_everything_is_a_hit(avsnn, trained):
    before = {path: path.stat().st_mtime_ns for path in trained.rglob("*.*")}
    said = avsnn("train", *SMALL)
    assert said.code == 0 and said.out == f"{trained}\n"
    assert re.fullmatch(rf"{STAMP} train: hit, {trained.name}\n", said.err)
    assert avsnn("train", *SMALL, "--quiet", "--json").err == ""
    assert f" evaluate: hit, {trained.name}\n" in avsnn("evaluate").err
    again = avsnn("noise-eval", "--snr", "0:30:15")
    assert " noise-eval: hit, noise-both_0to30by15dB.json\n" in again.err
    assert {path: path.stat().st_mtime_ns for path in trained.rglob("*.*")} == before


def test_the_tables_say_what_the_json_says(avsnn, trained, evaluated):
    clean, noisy = (json.loads(said.out) for said in evaluated)
    said = avsnn("evaluate", trained.name, "--quiet")
    assert said.code == 0 and said.err == ""
    head, accuracy, _, columns, *classes = said.out.splitlines()
    assert head == (f"digits-av (stratified), test n = 269, seed 0, {clean['selection']}")
    assert accuracy.startswith(f"accuracy {clean['accuracy']:.2%}  95 % ")
    assert columns.split() == ["class", "n", "recall", "precision"] and len(classes) == 10
    said = avsnn("noise-eval", trained, "--snr", "0:30:15", "-q")
    levels = [line.split()[:2] for line in said.out.splitlines()[2:]]
    points = [f"{point['accuracy']:.2%}" for point in noisy["points"]]
    assert levels == [list(pair) for pair in zip(("clean", "0", "15", "30"), points, strict=True)]


def test_run_does_only_what_is_missing(avsnn, trained, evaluated):
    said = avsnn("run", *SMALL, "--json")  # with the recipe's own ratios, which are others
    assert said.code == 0
    done = [line[20:].split(",")[0] for line in said.err.splitlines()]
    assert done == ["train: hit", "evaluate: hit", "noise-eval: done"]
    result = json.loads(said.out)
    assert result["accuracy"] == json.loads(evaluated[0].out)["accuracy"]
    assert len(result["noise"]["points"]) == 8 and result["folder"] == str(trained)


def test_force_evaluates_again_to_the_same_result(avsnn, trained, evaluated):
    (trained / "eval.json").write_text('{"accuracy": 1.0}')
    said = avsnn("evaluate", "--force", "--json")
    assert said.code == 0 and json.loads(said.out) == json.loads(evaluated[0].out)


def test_one_modality_and_one_level(avsnn, trained):
    said = avsnn(
        "noise-eval", "--modality", "audio", "--snr", "-10", "--set", "noise.seed=3", "--json"
    )
    result = json.loads(said.out)
    assert said.code == 0 and result["noisy_inputs"] == ["audio"]
    assert [point["snr_db"] for point in result["points"]] == [None, -10.0]
    assert result["noise"]["seed"] == 3
    assert (trained / "noise-audio_-10dB_seed3.json").exists()


@pytest.mark.usefixtures("trained")
def test_what_was_trained_is_not_evaluated_as_something_else(avsnn):
    # another data seed would put training clips into the test set
    said = avsnn("noise-eval", "--set", "data.seed=1")
    assert said.code == 2
    assert said.first == "error: --set data.seed=1: the run was trained without it"


def test_ls_runs_shows_state_and_accuracy(avsnn, trained, evaluated):
    accuracy = json.loads(evaluated[0].out)["accuracy"]
    rows = json.loads(avsnn("ls", "runs", "--json").out)["runs"]
    assert rows == [{"run": trained.name, "state": "evaluated", "test accuracy": f"{accuracy:.2%}"}]
    (trained / "eval.json").write_text("{")
    assert json.loads(avsnn("ls", "runs", "--json").out)["runs"][0]["test accuracy"] == "damaged"


def details(said):
    assert said.code == 0 and said.err == ""
    return {row["stage"]: (row["state"], row["detail"]) for row in json.loads(said.out)}


def test_status_of_a_trained_run_is_all_hits(avsnn, trained):
    rows = details(avsnn("status", *SMALL, "--set", "noise.snr_db.step=15", "--json"))
    assert [state for state, _ in rows.values()] == ["hit"] * 7
    assert rows["train"][1] == f"{trained.name}, 2 of 2 epochs"
    table = avsnn("status", *SMALL).out.splitlines()
    assert table[0].split() == ["stage", "state", "detail"] and len(table) == 8


@pytest.mark.usefixtures("trained")
def test_status_says_why_a_stage_misses(avsnn):
    rows = details(avsnn("status", *SMALL, "--json"))
    found = "not with these settings; noise-both_0to30by15dB.json has snr_db.step 15.0, not 5.0"
    assert rows["noise-eval"] == ("miss", found)
    rows = details(avsnn("status", *SMALL, "--set", "train.batch_size=32", "--json"))
    assert rows["cache audio"][0] == "hit" and rows["evaluate"] == ("miss", "waits for train")
    assert rows["train"][1].endswith(" has train.batch_size 64, not 32")
    rows = details(avsnn("status", *SMALL, "--set", "audio.hop=250", "--json"))
    assert rows["clips"][0] == rows["cache visual"][0] == "hit"
    assert rows["cache audio"][1].endswith(" has settings.hop 125, not 250")
    rows = details(avsnn("status", *SMALL, "--set", "data.seed=1", "--json"))
    assert rows["clips"][1].endswith(" has seed 0, not 1")


def test_a_dry_run_says_what_would_be_done_and_does_nothing(avsnn, trained):
    before = {path: path.stat().st_mtime_ns for path in trained.rglob("*")}
    rows = details(avsnn("evaluate", "--dry-run", "--json"))
    assert rows["evaluate"] == ("hit", "eval.json") and "noise-eval" not in rows
    rows = details(avsnn("noise-eval", "--dry-run", "--snr", "0:30:15", "--json"))
    assert rows["noise-eval"] == ("hit", "noise-both_0to30by15dB.json") and "evaluate" not in rows
    rows = details(avsnn("noise-eval", "--dry-run", "--modality", "visual", "--json"))
    assert rows["train"][0] == "hit" and rows["noise-eval"][0] == "miss"
    assert avsnn("evaluate", "no-such-run", "--dry-run").code == 4
    assert {path: path.stat().st_mtime_ns for path in trained.rglob("*")} == before


def test_status_in_a_new_home_is_all_misses(avsnn, home):
    rows = details(avsnn("status", "quickstart", "--json"))
    assert {stage: state for stage, (state, _) in rows.items() if state == "hit"} == {
        "download": "hit"  # digits-av needs none
    }
    assert rows["clips"] == rows["cache audio"] == ("miss", "not made yet")
    assert rows["train"] == ("miss", "not started") and not home.exists()
    assert details(avsnn("train", "quickstart", "--dry-run", "--json")) == rows
    assert details(avsnn("run", "quickstart", "--dry-run", "--json")) == rows
    assert not home.exists()


def test_an_artefact_of_other_libraries_is_pointed_out(avsnn, trained, home):
    (receipt,) = (home / "cache").glob("*/stft-*/receipt.json")
    content = json.loads(receipt.read_text())
    content["versions"]["h5py"] = "1.0"
    seal.publish(receipt, content)
    state, detail = details(avsnn("status", *SMALL, "--json"))["cache audio"]
    assert state == "hit" and ", made with h5py 1.0 (now " in detail
    assert trained.exists()


def test_damaged_weights_are_refused(avsnn, trained):
    weights = trained / "best.safetensors"
    flip_a_bit(weights)
    said = avsnn("evaluate", "--force")
    assert said.code == 4 and f"error: {weights} is damaged: sha256 " in said.err
    assert "train again with --fresh" in said.err and "Traceback" not in said.err


@pytest.mark.parametrize("name", ["weights.safetensors", "best.safetensors", "state.pt"])
def test_a_damaged_checkpoint_is_refused(name, avsnn, trained):
    (trained / "trained.json").unlink()
    (file,) = trained.glob(f"checkpoint-*/{name}")
    flip_a_bit(file)
    said = avsnn("train", *SMALL, "--quiet")
    assert said.code == 4 and said.first.startswith(f"error: {file} is damaged")
    assert "--fresh" in said.err
    assert "error: " in (trained / "run.log").read_text().splitlines()[-1]
    assert details(avsnn("status", *SMALL, "--json"))["train"][0] == "miss"


def test_fresh_starts_over(avsnn, trained):
    (trained / "trained.json").write_text("damaged")
    said = avsnn("train", *SMALL, "--fresh", "--verbose")
    assert said.code == 0 and " epoch 1: " in said.err and "% firing\n" in said.err
    assert not (trained / "eval.json").exists()
    selected = json.loads((trained / "trained.json").read_text())["selected"]
    records = [json.loads(line) for line in (trained / "metrics.jsonl").open()]
    assert len(records) == 2 and selected in records


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_run_trained_anew_stays_until_the_new_one_is_whole(avsnn, trained, home):
    before = contents(trained)
    # a file-size limit stands for a full disk: the first checkpoint does not fit
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000));"
        "sys.argv = ['avsnn', *sys.argv[1:]]; from avsnn_cli.main import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "train", *SMALL, "--fresh", "--quiet"],
        env=environment(home),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode != 0
    assert contents(trained) == before
    assert avsnn("evaluate", trained.name).code == 0  # a hit
    rows = details(avsnn("status", *SMALL, "--json"))
    assert rows["train"][0] == "miss" and rows["evaluate"][0] == "hit"
    # without --fresh it goes on with what was begun; then the new one takes the place of the old
    assert avsnn("train", *SMALL, "--quiet").code == 0
    assert not (trained / "eval.json").exists() and not (home / "runs" / ".anew").exists()
    history = (trained / "metrics.jsonl").read_text().splitlines()
    assert (
        len(history) == 2
        and (trained / "best.safetensors").read_bytes() == (before["best.safetensors"])
    )
    assert avsnn("evaluate", trained.name, "--quiet").code == 0
    assert sorted(path.name for path in (home / "runs").iterdir() if path.is_dir()) == [
        trained.name
    ]


def test_a_recipe_that_a_run_has_lost_is_written_again(avsnn, trained):
    before = (trained / "recipe.yaml").read_bytes()
    (trained / "recipe.yaml").unlink()
    said = avsnn("evaluate", trained.name)
    assert said.code == 4
    assert said.first == f"error: run {trained.name} has lost its recipe.yaml"
    (row,) = json.loads(avsnn("ls", "runs", "--json").out)["runs"]
    assert row["state"] == "evaluated, recipe.yaml is lost"
    said = avsnn("train", *SMALL, "--set", "noise.seed=7")
    assert said.code == 0 and "was trained with other noise, " in said.err
    assert not (trained / "recipe.yaml").exists()
    assert "has lost its recipe.yaml: written again" in avsnn("train", *SMALL).err
    assert (trained / "recipe.yaml").read_bytes() == before
    assert avsnn("evaluate", trained.name).code == 0


def test_a_hit_needs_to_write_nothing(avsnn, trained, home):
    for verb in ("energy", "export", "explain"):
        assert avsnn(verb, trained.name, "--quiet").code == 0
    for lock in home.rglob(".*.lock"):
        lock.unlink()
    before = {path: path.stat().st_mtime_ns for path in home.rglob("*")}
    for path in [home, *before]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    verbs = (
        ("train", *SMALL),
        ("evaluate",),
        ("noise-eval", "--snr", "0:30:15"),
        ("energy",),
        ("export",),
        ("explain",),
        ("ls",),
        ("compare", trained.name),
        ("status", *SMALL),
        ("cache", "ls"),
        ("cache", "verify"),
    )
    try:
        with unprivileged(home):
            said = {verb[0]: avsnn(*verb) for verb in verbs}
            refused = avsnn("evaluate", "--force")
    finally:
        for path in [home, *before]:
            path.chmod(0o755 if path.is_dir() else 0o644)
    assert {name: one.code for name, one in said.items()} == dict.fromkeys(said, 0), said
    assert refused.code == 5 and refused.first.startswith("error: cannot lock ")
    assert {path: path.stat().st_mtime_ns for path in home.rglob("*")} == before


def test_every_file_of_a_run_has_the_mode_that_the_umask_gives(trained, home):
    assert home.exists()
    umask = os.umask(0)
    os.umask(umask)
    files = [path for path in trained.rglob("*") if path.is_file()]
    assert {path.stat().st_mode & 0o777 for path in files} == {0o666 & ~umask}


def test_a_run_that_was_not_finished_is_not_evaluated(avsnn, trained):
    (trained / "trained.json").unlink()
    said = avsnn("evaluate", trained.name, "--force", "--quiet")
    assert said.code == 4 and said.first == f"error: run {trained.name} is not trained yet"


def test_a_beginning_that_fits_two_runs_is_refused(avsnn, trained):
    trained.rename(trained.with_name("quickstart-000000000001"))
    second = trained.with_name("quickstart-000000000002")
    second.mkdir()
    (second / "recipe.yaml").write_text("")
    said = avsnn("evaluate", "quickstart")
    assert said.code == 4 and said.first == (
        "error: several runs begin with 'quickstart': "
        "quickstart-000000000001, quickstart-000000000002"
    )


@pytest.mark.parametrize(
    "verb", ["evaluate --force", "noise-eval --force", "train --fresh", "run --fresh"]
)
def test_a_device_that_is_not_there_is_the_machines_fault(verb, avsnn, trained):
    recipe = SMALL if "--fresh" in verb else ()
    said = avsnn(*verb.split(), *recipe, "--device", "cuda:99", "--quiet")
    assert said.code == 5 and said.out == ""
    assert said.first.startswith("error: no device cuda:99: this machine has ")
    assert said.err.splitlines()[1] == "hint:  use --device cpu, or see avsnn doctor"
    assert (trained / "trained.json").exists()  # nothing is thrown away for it


@pytest.mark.usefixtures("prepared")
def test_the_traceback_of_a_bug_is_kept_in_the_runs_log(avsnn, home, monkeypatch):
    def broken(*_, **__):
        raise ZeroDivisionError("a fault in a library")

    monkeypatch.setattr(torch.nn.functional, "cross_entropy", broken)
    said = avsnn("train", *SMALL, "--quiet")
    (log,) = home.glob("runs/quickstart-*/run.log")
    assert said.code == 1 and said.out == ""
    assert said.err == (
        "error: a bug in avsnn: ZeroDivisionError: a fault in a library\n"
        f"hint:  the traceback is in {log}; please report it\n"
    )
    assert "Traceback (most recent call last)" in log.read_text()
    assert "ZeroDivisionError: a fault in a library" in log.read_text()


@pytest.mark.usefixtures("prepared")
def test_a_training_that_diverges_has_an_exit_code_of_its_own(avsnn, home):
    """adamw with such a decay overflows float32 in its first steps."""
    said = avsnn(
        "train",
        *SMALL,
        "--quiet",
        "--set",
        "train.optimizer.name=adamw",
        "--set",
        "train.optimizer.weight_decay=1e38",
        "--set",
        "train.optimizer.lr=10",
    )
    assert said.code == 7 and said.out == ""
    assert said.first.startswith("error: the loss is no longer finite in epoch ")
    assert "lower train.optimizer.lr" in said.err.splitlines()[1]
    assert not list(home.glob("runs/*/trained.json"))
