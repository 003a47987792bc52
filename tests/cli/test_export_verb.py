"""`avsnn export`: two files that give the run's network back, and nothing of anyone's is lost."""

import json
import tomllib
from importlib.metadata import requires

import pytest
import torch
from safetensors.torch import load_file

from pipelines.cache.rows import Rows
from pipelines.disk import seal, store
from pipelines.evaluation.export import load_network
from pipelines.training import checkpoint
from tests.cli.conftest import ROOT


def test_a_run_is_exported_beside_its_results_and_once(avsnn, trained):
    said = avsnn("export", "--json")
    assert said.code == 0, said.err
    found = json.loads(said.out)
    folder = trained / "export"
    assert found.pop("folder") == str(folder)
    assert found == json.loads((folder / "model.json").read_text())
    assert sorted(p.name for p in folder.iterdir()) == ["model.json", "weights.safetensors"]
    assert found["not_folded"] == [] and len(found["folded"]) == 26
    check = found["check"]
    assert check["float64_difference"] <= 1e-10 and check["clips"] == 64
    assert check["accuracy"]["before"] == check["accuracy"]["after"]
    before = (folder / "model.json").stat().st_mtime_ns
    again = avsnn("export", "--json")
    assert json.loads(again.out) == {**found, "folder": str(folder)}
    assert "hit" in again.err and (folder / "model.json").stat().st_mtime_ns == before
    text = avsnn("export").out
    assert "26 norms folded, 0 kept" in text and "NIR does not carry" in text
    assert all(len(line) <= 80 for line in text.splitlines()[1:])


def test_what_model_json_says_is_enough_to_ask_the_network(avsnn, trained, home):
    """From a cache's rows, normalised here by hand, to the answers of `avsnn evaluate`."""
    assert avsnn("export").code == 0
    said = json.loads((trained / "export" / "model.json").read_text())
    (manifest,) = (home / "manifests").glob("*.jsonl")
    clips = [json.loads(line) for line in manifest.read_text().splitlines()]
    clips = [clip for clip in clips if clip["split"] == "test"]
    given = {}
    for name, made in said["inputs"].items():
        (file,) = home.glob(f"cache/digits-av/{made['feature']}-*/test.h5")
        with Rows(file) as rows:
            x = torch.from_numpy(rows.read([rows.sources.index(c[name]) for c in clips])).float()
        mean, sd = (torch.tensor(made["normalise"][k])[:, None, None] for k in ("mean", "sd"))
        given[name] = (x - mean) / sd
        assert made["shape"] == [None, *x.shape[1:]] and made["axes"] == "B C H W"
    with torch.no_grad():
        answers = load_network(trained / "export")(**given).logits.argmax(1).tolist()
    evaluated = json.loads((trained / "eval.json").read_text())["predictions"]
    same = sum(evaluated[c["id"]] == answer for c, answer in zip(clips, answers, strict=True))
    assert same >= 0.99 * len(clips)  # folding rounds: a spike near its threshold may flip


def test_a_damaged_export_is_made_again(avsnn, trained):
    assert avsnn("export").code == 0
    file = trained / "export" / "weights.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    said = avsnn("export")
    assert said.code == 0 and "done" in said.err and file.read_bytes() == whole


def test_another_folder_is_taken_only_if_it_is_new_empty_or_an_export(avsnn, trained, tmp_path):
    folder = tmp_path / "x" / "out"
    assert avsnn("export", "--output", folder).code == 0
    assert load_network(folder) is not None and not (trained / "export").exists()
    assert "hit" in avsnn("export", "--output", folder).err
    description = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps(description | {"weights_sha256": "0" * 64}))
    said = avsnn("export", "--output", folder)
    assert said.code == 2 and said.first == f"error: {folder} holds another export"
    assert "--force" in said.err
    assert avsnn("export", "--output", folder, "--force").code == 0
    assert json.loads((folder / "model.json").read_text()) == description
    (folder / "thesis.tex").write_text("mine")
    for force in ([], ["--force"]):
        said = avsnn("export", "--output", folder, *force)
        assert said.code == 2 and said.first == f"error: {folder} holds 'thesis.tex', of no export"
    assert (folder / "thesis.tex").read_text() == "mine"
    said = avsnn("export", "--output", folder / "thesis.tex", "--force")
    assert said.code == 2 and "is not a folder" in said.first
    assert sorted(p.name for p in (tmp_path / "x").iterdir()) == ["out"]


def test_nir_names_what_it_cannot_carry_and_the_rest_is_written(avsnn, trained):
    said = avsnn("export", "--nir")
    errors = [line for line in said.err.splitlines() if line.startswith(("error", "hint"))]
    assert said.code == 2 and len(errors) == 2, said.err
    assert errors[0].startswith("error: NIR cannot carry s-cmrl: Model (the network)")
    assert str(trained / "export") in errors[1]
    assert load_file(trained / "export" / "weights.safetensors")
    rows = json.loads((trained / "export" / "model.json").read_text())["nir"]["not_carried"]
    kinds = {row["type"] for row in rows}
    assert {"LIF", "MaxPool2d", "SpikingAttention"} <= kinds and "Conv2d" not in kinds


def test_weights_without_finite_numbers_are_not_exported(avsnn, trained):
    weights = load_file(trained / "best.safetensors")
    weights["head.bias"][0] = torch.nan
    checkpoint.save_weights(trained / "best.safetensors", weights)
    said = json.loads((trained / "trained.json").read_text())
    said["sha256"] = store.sha256(trained / "best.safetensors")
    seal.publish(trained / "trained.json", said)
    before = sorted(p.name for p in trained.iterdir())
    said = avsnn("export")
    assert said.code == 1 and "by nan in float64" in said.first
    assert sorted(p.name for p in trained.iterdir() if p.name != "run.log") == [
        name for name in before if name != "run.log"
    ]


@pytest.mark.usefixtures("home")
def test_without_a_run_there_is_nothing_to_export(avsnn):
    said = avsnn("export")
    assert said.code == 4 and said.first == "error: no trained run yet"


def test_the_extra_nir_asks_for_what_spikingjelly_asks_for():
    ours = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = ours["project"]["optional-dependencies"]["nir"]
    theirs = [
        line.split(";")[0].strip()
        for line in requires("spikingjelly")
        if "'nir'" in line or '"nir"' in line
    ]

    def plain(line):
        name = line.split("<")[0].split(">")[0]
        return name, frozenset(line.removeprefix(name).split(","))

    assert {plain(line) for line in wanted} == {plain(line) for line in theirs}
