"""`avsnn report`: one file of runs that were really trained, its path said, left-outs named."""

import json
import re
from pathlib import Path

import pytest

from pipelines.disk import seal
from pipelines.plan.plan import plan_data
from pipelines.recipe import recipe as recipes
from pipelines.training.network import build_model


def test_a_run_becomes_one_file_whose_path_is_printed(trained, avsnn, home):
    said = avsnn("report", trained.name)
    assert said.code == 0, said.err
    file = home / "reports" / f"{trained.name}.html"
    assert said.out == f"{file}\n"
    text = file.read_text(encoding="utf-8")
    accuracy = json.loads((trained / "eval.json").read_text())["accuracy"]
    assert f"<td>{100 * accuracy:.2f}</td>" in text
    assert len(re.findall('src="data:image/png;base64,', text)) == 3  # noise, confusion, training
    again = json.loads(avsnn("report", trained.name, "--json").out)
    assert again == {
        "report": str(file),
        "systems": ["quickstart"],
        "runs": [trained.name],
        "left_out": [],
    }
    assert file.read_text(encoding="utf-8") == text


def test_the_parameters_it_counts_are_the_networks(trained, avsnn, home, monkeypatch):
    monkeypatch.setenv("AVSNN_HOME", str(home))
    recipe = recipes.load_recipe(trained / "recipe.yaml")
    model = build_model(recipe, plan_data(recipe), "cpu")
    count = sum(p.numel() for p in model.parameters())
    assert json.loads((trained / "trained.json").read_text())["parameters"] == count
    page = Path(json.loads(avsnn("report", trained.name, "--json").out)["report"])
    assert f"<td>{count:,}</td>" in page.read_text(encoding="utf-8")


def test_what_is_not_evaluated_is_left_out_and_nothing_left_is_an_error(
    trained, avsnn, home, tmp_path
):
    other = home / "runs" / "other-0123456789ab"
    other.mkdir()
    for name in ("recipe.yaml", "env.json"):
        (other / name).write_bytes((trained / name).read_bytes())
    environment = json.loads((other / "env.json").read_text())
    seal.publish(other / "env.json", environment | {"run": other.name})
    wanted = tmp_path / "r.html"
    said = avsnn("report", trained.name, other.name, "--output", str(wanted))
    assert said.code == 0 and said.out == f"{wanted}\n"
    assert f"{other.name} is left out, it is not evaluated" in said.err
    assert f"left out: {other.name}" in wanted.read_text(encoding="utf-8")
    alone = avsnn("report", other.name)
    assert alone.code == 4 and f"not evaluated: {other.name}" in alone.err
    assert "avsnn evaluate" in alone.err and not Path(home / "reports").exists()
    assert avsnn("report", "nothing-of-the-kind").code == 4
    assert avsnn("report", trained.name, "--output", str(tmp_path)).code == 2


def test_only_a_report_is_replaced_without_force(trained, avsnn, tmp_path):
    """A thesis, a run's file and a device stay what they are; a report is made anew."""
    thesis = tmp_path / "thesis.html"
    thesis.write_text("<!doctype html>\n<html>years of work</html>")
    said = avsnn("report", trained.name, "--output", thesis)
    assert said.code == 2 and said.first == f"error: {thesis} is there already"
    assert "years of work" in thesis.read_text()
    evaluation = (trained / "eval.json").read_bytes()
    for force in ((), ("--force",)):
        for place in (trained / "eval.json", trained / "new.html", "/dev/null"):
            said = avsnn("report", trained.name, "--output", place, *force)
            assert said.code == 2 and said.out == "" and len(said.err.splitlines()) == 2
    assert (trained / "eval.json").read_bytes() == evaluation
    assert not (trained / "new.html").exists() and Path("/dev/null").is_char_device()
    for _ in range(2):  # the second is on a report of ours
        assert avsnn("report", trained.name, "--output", tmp_path / "r.html").code == 0
    assert avsnn("report", trained.name, "--output", thesis, "--force").code == 0
    assert "years of work" not in thesis.read_text()


def test_a_tilde_is_expanded_in_every_path(trained, avsnn, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    said = avsnn("report", trained.name, "--output", "~/r.html")
    assert said.out == f"{tmp_path / 'r.html'}\n" and (tmp_path / "r.html").is_file()
    assert avsnn("report", f"~/home/runs/{trained.name}", "--output", "~/s.html").code == 0
    assert avsnn("cp", "quickstart", "~/mine").out == f"{tmp_path / 'mine.yaml'}\n"
    assert avsnn("validate", "~/mine.yaml").code == 0
    said = avsnn("prepare", "spoken-digits-av", "--from", "~/nothing")
    assert said.code == 4 and said.first == f"error: {tmp_path / 'nothing'} is not a folder"
    said = avsnn("predict", trained.name, "--audio", "~/no.wav")
    assert said.code == 4 and f"{tmp_path / 'no.wav'}" in said.err
    assert not list(tmp_path.glob("**/~*"))


@pytest.mark.parametrize("path", ["~nosuchuser/x", "x" * 256])
def test_a_path_that_cannot_be_is_one_line_in_every_option(path, trained, avsnn):
    name = trained.name
    for arguments in (
        ("report", name, "--output", path),
        ("export", name, "--output", path),
        ("cp", "quickstart", path),
        ("prepare", "digits-av", "--from", path),
        ("predict", name, "--audio", path),
        ("predict", name, "--image", path),
    ):
        said = avsnn(*arguments)
        assert said.code == 2 and said.out == "", arguments
        assert len(said.err.splitlines()) == 2 and said.first.startswith(f"error: {path[:80]}")


def test_nothing_can_be_written_where_there_is_no_disk(trained, avsnn):
    for verb in ("export", "report"):
        said = avsnn(verb, trained.name, "--output", "/proc/x")
        assert said.code == 5 and "error: cannot write /proc/x: " in said.err
