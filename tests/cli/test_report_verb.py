"""`avsnn report`: one file of runs that were really trained, its path said, left-outs named."""

import json
import re
from pathlib import Path

from pipelines import recipe as recipes
from pipelines import seal
from pipelines.plan import plan_data
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
    assert again == {"report": str(file), "systems": ["quickstart"], "runs": [trained.name],
                     "left_out": []}  # fmt: skip
    assert file.read_text(encoding="utf-8") == text


def test_the_parameters_it_counts_are_the_networks(trained, avsnn, home, monkeypatch):
    monkeypatch.setenv("AVSNN_HOME", str(home))
    recipe = recipes.load(trained / "recipe.yaml")
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
