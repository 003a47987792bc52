"""ls, show, cp and validate: what there is, and whether a recipe is right."""

import json
import os
import pty
import re
import subprocess
import sys
from types import SimpleNamespace
from typing import Literal

import pytest
import yaml
from typing_extensions import TypedDict

from pipelines import registry
from pipelines.errors import UsageError
from tests.cli.conftest import ROOT, environment
from tests.unit.broken_recipes import BROKEN, GOOD

KINDS = {"datasets": "dataset", "features": "feature", "models": "model", "recipes": "recipe"}


@pytest.mark.parametrize("kind", KINDS)
def test_ls_lists_a_kind_for_people_and_for_programs(kind, avsnn):
    said, found = avsnn("ls", kind), json.loads(avsnn("ls", kind, "--json").out)
    assert said.code == 0 and list(found) == [kind]
    names = [row[KINDS[kind]] for row in found[kind]]
    header, *lines = said.out.splitlines()
    assert header.split()[0] == KINDS[kind]
    assert [line.split()[0] for line in lines] == names  # in a pipe a row is a line


def test_ls_lists_everything(avsnn):
    found = json.loads(avsnn("ls", "--json").out)
    assert list(found) == [*KINDS, "runs"]
    assert {row["dataset"] for row in found["datasets"]} >= {"digits-av", "spoken-digits-av"}
    assert "quickstart" in {row["recipe"] for row in found["recipes"]}
    assert found["runs"] == [] and "runs\n(none)" in avsnn("ls").out


def test_ls_says_that_there_is_no_run_yet(avsnn):
    assert avsnn("ls", "runs") == (0, "", "no runs yet\n")


@pytest.mark.parametrize("kind", ["datasets", "models"])
def test_ls_fits_a_terminal_of_80_columns(kind, home):
    control, terminal = pty.openpty()
    subprocess.run(
        [sys.executable, "-m", "avsnn_cli", "ls", kind],
        stdout=terminal,
        timeout=60,
        check=True,
        env=environment(home, COLUMNS="80"),
    )
    os.close(terminal)
    lines = os.read(control, 1 << 16).decode().splitlines()
    os.close(control)
    assert len(lines) > len(list(registry.names(kind.removesuffix("s")))) + 1  # something is folded
    assert max(map(len, lines)) <= 80


def test_show_writes_a_recipe_that_is_that_recipe(avsnn, tmp_path):
    said = avsnn("show", "quickstart", "--set", "train.epochs=3")
    assert said.code == 0 and said.err == ""
    resolved = yaml.safe_load(said.out)
    assert resolved["train"]["epochs"] == 3 and resolved["model"]["neuron"]["tau"] == 2.0
    (tmp_path / "again.yaml").write_text(said.out)
    again = json.loads(avsnn("show", tmp_path / "again.yaml", "--json").out)
    assert again == json.loads(avsnn("show", "quickstart", "--set", "train.epochs=3", "--json").out)


def test_show_marks_what_the_paper_does_not_give(avsnn):
    marked = [line for line in avsnn("show", "quickstart").out.splitlines() if "# assumed" in line]
    assert any(line.startswith("  sao_temperature: ") for line in marked)
    assert not any("time_steps" in line for line in marked)


def test_cp_keeps_the_comments_and_overwrites_only_if_told(avsnn, tmp_path):
    target = tmp_path / "mine.yaml"
    assert avsnn("cp", "quickstart", tmp_path / "mine") == (0, f"{target}\n", "")
    original = (ROOT / "recipes" / "quickstart.yaml").read_text()
    assert target.read_text() == original
    target.write_text("my changes")
    said = avsnn("cp", "quickstart", target)
    assert said.code == 2 and said.first == f"error: {target} is there already"
    assert target.read_text() == "my changes"
    assert avsnn("cp", "quickstart", target, "--force").code == 0
    assert target.read_text() == original


def test_cp_into_what_is_no_folder_is_the_machines_fault(avsnn, tmp_path):
    (tmp_path / "file").write_text("")
    said = avsnn("cp", "quickstart", tmp_path / "file" / "mine.yaml")
    assert said.code == 5 and said.first.startswith(f"error: cannot write {tmp_path}/file/mine")


def test_validate_takes_every_bundled_recipe(avsnn):
    names = [row["recipe"] for row in json.loads(avsnn("ls", "recipes", "--json").out)["recipes"]]
    assert avsnn("validate", *names) == (0, f"{len(names)} valid\n", "")
    rows = json.loads(avsnn("validate", *names, "--json").out)
    assert rows == [{"recipe": name, "faults": ""} for name in names]


def test_validate_lists_all_faults_of_all_files(avsnn, tmp_path):
    good = (ROOT / "recipes" / "quickstart.yaml").read_text()
    (tmp_path / "a.yaml").write_text(
        good.replace("epochs: 8", "epochs: 0").replace("n_fft", "nfft")
    )
    (tmp_path / "b.yaml").write_text(good.replace("seed: 0", "sed: 0", 1))
    (tmp_path / "c.yaml").write_text(good)
    arguments = [
        tmp_path / "a.yaml",
        tmp_path / "b.yaml",
        tmp_path / "c.yaml",
        "nope",
        "--set",
        "train.epoch=1",
    ]
    said = avsnn("validate", *arguments)
    assert said.code == 3 and said.out == ""
    heads = [line.replace(f"{tmp_path}/", "") for line in said.err.splitlines() if line[0] != " "]
    assert heads == [
        "a.yaml:7:57: audio.nfft: unknown key (did you mean n_fft?)",
        "a.yaml:11:11: train.epochs: must be ≥ 1 (is 0)",
        "b.yaml:4:1: seed: missing",
        "b.yaml:5:1: sed: unknown key (did you mean seed?)",
        "no recipe 'nope'",
        "--set train.epoch=1: train.epoch: unknown key (did you mean epochs?)",
    ]
    rows = json.loads(avsnn("validate", *arguments, "--json").out)
    assert [bool(row["faults"]) for row in rows] == [True] * 4


class Neuron(TypedDict):
    tau: float
    v_threshold: float


NEURON: Neuron = {"tau": 2.0, "v_threshold": 1.0}


def of_the_test(kind, name):
    """Stand for the dataset, features and model that the broken recipes are written for."""

    def pairs(*, protocol: Literal["official-folds", "leak-free"] = "leak-free"): ...
    def spectrogram(*, n_fft: int = 512, n_mels: int = 64, hop: int | Literal["auto"] = "auto"): ...
    def picture(): ...
    def build(*, classes: int, width: int, neuron: Neuron = NEURON): ...

    known = {
        ("dataset", "digits-av"): SimpleNamespace(pairs=pairs),
        ("feature", "stft"): SimpleNamespace(extract=spectrogram, MODALITY="audio"),
        ("feature", "image"): SimpleNamespace(extract=picture, MODALITY="visual"),
        ("model", "tiny"): SimpleNamespace(build=build, PRESETS={"paper": {"width": 256}}),
    }
    if (kind, name) not in known:
        names = [known_name for of, known_name in known if of == kind]
        raise UsageError(f"no {kind} {name!r}", registry.closest(name, names))
    return known[kind, name]


@pytest.mark.parametrize("broken", BROKEN, ids=[name for name, *_ in BROKEN])
def test_validate_says_where_a_recipe_is_broken(broken, avsnn, tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "load_module", of_the_test)
    _, text, row, column, part = broken
    path = tmp_path / "recipe.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    said = avsnn("validate", path)
    assert said.code == 3 and said.out == ""
    assert "Traceback" not in said.err and "a bug" not in said.err
    at = re.escape(f"{path}:{row}:{column}: ")
    assert re.search(f"^(error: )?{at}", said.err, re.M), said.err
    assert part in said.err


def test_validate_takes_what_the_broken_recipes_were_made_from(avsnn, tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "load_module", of_the_test)
    (tmp_path / "recipe.yaml").write_text(GOOD)
    assert avsnn("validate", tmp_path / "recipe.yaml") == (0, "1 valid\n", "")


def test_ls_lists_the_recipes_of_a_paper_by_table(avsnn):
    (rows,) = json.loads(avsnn("ls", "recipes", "--paper", "s-cmrl", "--json").out).values()
    assert list(rows[0]) == ["table", "recipe", "what"]
    of_table_4 = [row["recipe"] for row in rows if row["table"] == "Table IV"]
    assert "crema_d/spikformer_audio_paper" in of_table_4 and len(of_table_4) == 12
    assert avsnn("ls", "--paper", "s-cmrl").out == avsnn("ls", "recipes", "--paper", "s-cmrl").out
    said = avsnn("ls", "runs", "--paper", "s-cmrl")
    assert (said.code, said.first) == (2, "error: --paper is for recipes, not for runs")
    said = avsnn("ls", "recipes", "--paper", "smpl")
    assert said.err == (
        "error: --paper smpl: no recipe names this paper\nhint:  did you mean smlp?\n"
    )
