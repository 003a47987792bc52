"""What a stage reads is what the stage before published, or one line says what it is not.

Each attack gave another figure without a word before there were seals.
"""

import json
import shutil

import h5py
import numpy as np
import pytest

from pipelines.disk import seal, store
from tests.cli.conftest import SMALL


def edit(path, change):
    """Change a JSON file as an editor would, and leave its seal as it is."""
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")


def refused(said, *words):
    assert said.code == 4, said
    assert said.err.count("error: ") == 1 and "bug" not in said.err
    assert all(word in said.err for word in words), said.err


@pytest.fixture
def evaluated(avsnn, trained):
    assert avsnn("evaluate").code == 0
    assert avsnn("noise-eval", "--snr", "0:30:15").code == 0
    return trained


@pytest.fixture
def receipts(home, evaluated):  # noqa: ARG001  (they are in its home)
    return {
        path.parent.name.split("-")[0]: path
        for path in (home / "cache").glob("digits-av/*/receipt.json")
    }


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c["made_from"]["statistics"].update(mean=[-1.5]),
        lambda c: c["made_from"]["statistics"].update(sd=[0.546]),
        lambda c: c["made_from"]["statistics"].update(sd=[0.0]),
        lambda c: c["made_from"]["statistics"].update(mean=[float("nan")]),
        lambda c: c["excluded"].update({"0012": "left out"}),
        lambda c: c.update(content_sha256="0" * 64),
        lambda c: c.pop("seal"),
    ],
)
def test_an_edited_receipt_of_a_cache_is_refused_by_all_that_read_it(avsnn, receipts, change):
    edit(receipts["stft"], change)
    for verb in (
        ("evaluate", "--force"),
        ("train", *SMALL, "--set", "seed=1"),
        ("noise-eval", "--force"),
        ("prepare", *SMALL),
    ):
        refused(avsnn(*verb), str(receipts["stft"]), "--force")
    rows = json.loads(avsnn("cache", "verify", "--json").out)
    states = {row["cache"]: row["state"] for row in rows if row["file"] == "receipt.json"}
    assert states[f"digits-av/{receipts['stft'].parent.name}"] == "damaged"
    assert avsnn("cache", "verify").code == 4
    stages = json.loads(avsnn("status", *SMALL, "--json").out)
    assert {row["stage"]: row["state"] for row in stages}["cache audio"] == "miss"


@pytest.mark.parametrize("values", [{"sd": [0.0, 1.0]}, {"sd": [-1.0]}, {"mean": []}])
def test_statistics_that_nothing_can_be_scaled_by_are_refused_even_sealed(avsnn, receipts, values):
    content = json.loads(receipts["stft"].read_text())
    content["made_from"]["statistics"] |= values
    seal.publish(receipts["stft"], content)
    refused(avsnn("evaluate", "--force"), "made_from.statistics")


@pytest.mark.parametrize("attack", ["label", "lost", "twice", "moved", "exchanged"])
@pytest.mark.usefixtures("evaluated")
def test_clips_that_were_changed_are_refused(avsnn, home, attack):
    (clips,) = (home / "manifests").glob("*.jsonl")
    lines = clips.read_text().splitlines(keepends=True)
    first = json.loads(lines[0])
    changed = {
        "label": [json.dumps(first | {"label": (first["label"] + 1) % 10}) + "\n", *lines[1:]],
        "lost": lines[1:],
        "twice": [lines[0], *lines],
        "moved": [json.dumps(first | {"split": "validation"}) + "\n", *lines[1:]],
        "exchanged": [lines[1], lines[0], *lines[2:]],
    }[attack]
    clips.write_text("".join(changed))
    for verb in ("evaluate", "noise-eval"):
        refused(avsnn(verb, "--force"), clips.name, "another hash")
    refused(avsnn("prepare", *SMALL), clips.name, "--force")
    stages = json.loads(avsnn("status", *SMALL, "--json").out)
    assert {row["stage"]: row["state"] for row in stages}["clips"] == "miss"
    assert avsnn("prepare", *SMALL, "--force").code == 0
    assert avsnn("evaluate", "--force").code == 0


def test_permuted_names_in_a_cache_are_refused(avsnn, receipts):
    path = receipts["stft"].with_name("test.h5")
    with h5py.File(path, "r+") as file:
        file["source"][...] = np.roll(file["source"][()], 1)
    refused(avsnn("evaluate", "--force"), "test.h5", "hash")


def test_a_file_of_another_cache_is_refused_whatever_its_size(avsnn, receipts):
    train, test = (receipts["stft"].with_name(name) for name in ("train.h5", "test.h5"))
    test.write_bytes(train.read_bytes()[: test.stat().st_size])
    refused(avsnn("evaluate", "--force"), "test.h5", "hash")


def test_a_receipt_of_another_cache_is_refused(avsnn, receipts):
    shutil.copy(receipts["image"], receipts["stft"])
    refused(avsnn("evaluate", "--force"), "is the receipt of image-")


def test_damage_is_found_before_hdf5_sees_it(avsnn, receipts, monkeypatch):
    """Zeros over the attributes can make the library hang for ever."""
    path = receipts["image"].with_name("test.h5")
    content = bytearray(path.read_bytes())
    place = content.index(b"settings")
    end = min(place + 512, len(content))  # of the same size, or the size alone would tell
    content[place:end] = bytes(end - place)
    path.write_bytes(content)
    opened, whole = [], h5py.File

    def watched(name, *arguments, **settings):
        opened.append(name)
        return whole(name, *arguments, **settings)

    monkeypatch.setattr(h5py, "File", watched)
    refused(avsnn("evaluate", "--force"), "test.h5", "hash")
    assert path not in opened


def test_an_edited_recipe_gives_a_run_no_other_networks_number(avsnn, evaluated):
    recipe = evaluated / "recipe.yaml"
    text = recipe.read_text()
    recipe.write_text(text.replace("alpha: 1.5", "alpha: 0.5"))
    assert recipe.read_text() != text
    for verb in (("evaluate",), ("noise-eval",), ("compare", evaluated.name), ("train", *SMALL)):
        refused(avsnn(*verb), "recipe.yaml")
    assert json.loads(avsnn("ls", "runs", "--json").out)["runs"][0]["test accuracy"] == "damaged"


def test_a_run_in_the_folder_of_another_is_refused(avsnn, evaluated):
    other = evaluated.with_name(f"quickstart-{'0' * 12}")
    shutil.copytree(evaluated, other)
    refused(avsnn("compare", other.name), f"it is the run {evaluated.name}'s")


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.update(accuracy=0.5),
        lambda c: c.update(n=27),
        lambda c: c.update(wilson=c["wilson"][::-1]),
        lambda c: c.update(weights_sha256="0" * 64),
        lambda c: c["predictions"].update({next(iter(c["predictions"])): 0}),
        lambda c: c["predictions"].popitem(),
        lambda c: c["confusion"].reverse(),
        lambda c: c.update(seed=7),
    ],
)
def test_an_evaluation_that_was_edited_is_shown_by_nothing(avsnn, evaluated, change):
    before = json.loads((evaluated / "eval.json").read_text())
    edit(evaluated / "eval.json", change)
    assert json.loads((evaluated / "eval.json").read_text()) != before
    for verb in ("evaluate", "compare", "report"):
        refused(avsnn(verb, evaluated.name), "eval.json")
    assert json.loads(avsnn("ls", "runs", "--json").out)["runs"][0]["test accuracy"] == "damaged"


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda c: c.update(accuracy=0.5), "accuracy does not follow"),
        (lambda c: c.update(n=27), "n does not follow"),
        (lambda c: c.update(wilson=c["wilson"][::-1]), "wilson does not follow"),
        (lambda c: c["labels"].popitem(), "different clips"),
        (lambda c: c["per_class"].pop(), "not readable"),
    ],
)
def test_an_evaluation_must_follow_from_its_predictions_even_sealed(avsnn, evaluated, change, word):
    content = json.loads((evaluated / "eval.json").read_text())
    change(content)
    seal.publish(evaluated / "eval.json", content)
    refused(avsnn("compare", evaluated.name), word)


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c["points"].pop(),
        lambda c: c["points"].pop(1),
        lambda c: c["points"][1].update(accuracy=0.99),
        lambda c: c["points"][1].update(wilson_low=0.9, wilson_high=0.1),
    ],
)
@pytest.mark.parametrize("sealed", [False, True])
def test_a_noise_curve_that_was_edited_is_refused(avsnn, evaluated, change, sealed):
    path = evaluated / "noise-both_0to30by15dB.json"
    content = json.loads(path.read_text())
    change(content)
    (seal.publish if sealed else store.publish_json)(path, content)
    refused(avsnn("compare", evaluated.name), path.name)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("trained.json", lambda c: c["selected"].update(epoch=1)),
        ("trained.json", lambda c: c.update(rule="last")),
        ("env.json", lambda c: c.update(name="another")),
        ("env.json", lambda c: c.pop("seal")),
    ],
)
def test_what_a_run_is_cannot_be_edited(avsnn, evaluated, name, change):
    edit(evaluated / name, change)
    refused(avsnn("evaluate"), evaluated.name)
    refused(avsnn("compare", evaluated.name), evaluated.name)


def test_results_of_other_weights_are_refused(avsnn, evaluated):
    content = json.loads((evaluated / "trained.json").read_text())
    content["selected"]["epoch"] = 1
    seal.publish(evaluated / "trained.json", content)
    refused(avsnn("compare", evaluated.name), "another trained.json")


def test_the_course_of_training_is_sealed_too(avsnn, evaluated):
    path = evaluated / "metrics.jsonl"
    path.write_text(path.read_text().replace('"train_loss": ', '"train_loss": 1'))
    refused(avsnn("report", evaluated.name), "metrics.jsonl")


def test_a_run_of_an_earlier_version_is_still_read(avsnn, evaluated):
    for path in evaluated.glob("*.json"):
        content = json.loads(path.read_text())
        for name in (
            "seal",
            "made_with",
            "run",
            "recipe_sha256",
            "cache_contents",
            "metrics_sha256",
        ):
            content.pop(name, None)
        path.write_text(json.dumps(content))
    said = avsnn("compare", evaluated.name, "--json")
    assert said.code == 0, said.err
    # and held to its own predictions
    edit(evaluated / "eval.json", lambda c: c.update(accuracy=0.5))
    refused(avsnn("compare", evaluated.name), "accuracy does not follow")
