"""A sweep's grid: what is written is what runs, once each, in a stated order."""

import itertools
import shutil

import pytest
import yaml

from pipelines import registry
from pipelines.disk import store
from pipelines.errors import DataError, RecipeError, UsageError
from pipelines.runs import sweep


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("model.alpha=0.5,1", ["model.alpha=0.5", "model.alpha=1"]),
        ("a=[1, 2],[3, 4]", ["a=[1, 2]", "a=[3, 4]"]),
        ("a={x: 1, y: 2},null", ["a={x: 1, y: 2}", "a=null"]),
        ("a='x,y',z", ["a='x,y'", "a=z"]),
        (" a = 1 , 2 ", ["a=1", "a=2"]),
        ("a=b=c", ["a=b=c"]),
    ],
)
def test_values_are_split_at_commas_that_are_no_part_of_one(text, values):
    assert sweep.choices(text) == values


@pytest.mark.parametrize("text", ["", "a", "=1", "a=", "a=1,", "a=1,,2", "a=[1,2", "a=1]", "a='x"])
def test_what_is_no_list_of_values_is_one_line(text):
    with pytest.raises(UsageError):
        sweep.choices(text)


def test_all_combinations_run_with_each_seed_in_turn():
    settings = ["model.alpha=0.5,1.5", "model.width=16,32", "model.heads=2"]
    points = sweep.grid(["quickstart"], settings, 3)
    assert [p.seed for p in points] == [0] * 4 + [1] * 4 + [2] * 4
    expected = {
        (f"model.alpha={a}", f"model.width={w}", "model.heads=2", f"seed={s}")
        for a, w, s in itertools.product((0.5, 1.5), (16, 32), range(3))
    }
    assert {p.overrides for p in points} == expected and len(points) == 12
    assert points == sweep.grid(["quickstart"], settings, 3)


def test_seeds_count_from_the_recipes_own():
    assert [p.seed for p in sweep.grid(["quickstart"], [], 2)] == [0, 1]
    assert [p.seed for p in sweep.grid(["quickstart"], [], None)] == [0]


def test_a_wrong_value_is_refused_before_anything_runs():
    with pytest.raises(RecipeError, match="alpha"):
        sweep.grid(["quickstart"], ["model.alpha=1,-5"], 1)
    with pytest.raises(UsageError, match="twice"):
        sweep.grid(["quickstart", "quickstart"], [], 1)
    with pytest.raises(UsageError, match="at most"):
        sweep.grid(["quickstart"], ["model.alpha=" + ",".join(map(str, range(1, 200)))], 100)


def test_the_name_of_a_sweep_is_that_of_its_runs():
    one = sweep.grid(["quickstart"], ["model.alpha=1,2"], 1)
    assert sweep.name_of(one) == sweep.name_of(list(one))
    assert sweep.name_of(one) != sweep.name_of(sweep.grid(["quickstart"], ["model.alpha=1,3"], 1))
    assert sweep.name_of(one).startswith("quickstart-")


@pytest.mark.parametrize(
    "content",
    [
        [],
        {},
        {"runs": [{}]},
        {"runs": [{"run": "../../x"}]},
        {"runs": [{"run": "/etc"}]},
        {"runs": [{"run": ".."}]},
    ],
)
def test_a_file_that_is_no_sweep_is_one_line(content):
    store.publish_json(store.home() / "sweeps" / "x-1.json", content)
    with pytest.raises(DataError):
        sweep.runs_of("x-1")


def test_what_is_no_sweep_is_not_taken_for_one():
    assert sweep.runs_of("nothing") is None
    for name in ("x-1", "x-2"):
        store.publish_json(store.home() / "sweeps" / f"{name}.json", {"runs": [{"run": "a"}]})
    assert sweep.runs_of("x-2") == [store.home() / "runs" / "a"]
    with pytest.raises(DataError, match="several"):
        sweep.runs_of("x")


@pytest.mark.parametrize("name", ["*", "a**", "?", "[", "[a]", "", ".", "/", "..", "a" * 250])
def test_a_name_is_no_pattern(name):
    store.publish_json(store.home() / "sweeps" / "a-1.json", {"runs": [{"run": "r"}]})
    assert sweep.runs_of(name) is None


def test_a_sweep_whose_name_has_brackets_is_found_by_its_beginning():
    store.publish_json(store.home() / "sweeps" / "a[1]-0.json", {"runs": [{"run": "r"}]})
    for name in ("a[1]", "a[", "a[1]-0", "a[1]-0.json"):
        assert sweep.runs_of(name) == [store.home() / "runs" / "r"]


def test_a_sweep_goes_by_the_name_it_was_given_and_no_other_takes_it():
    two = sweep.grid(["quickstart"], ["model.alpha=1,2"], 1)
    one = sweep.grid(["quickstart"], ["model.alpha=1"], 1)
    file = sweep.record(two, "alpha")
    assert file == sweep.record(two, "alpha") == store.home() / "sweeps" / "alpha.json"
    sweep.record(one, "alpha-more")
    assert len(sweep.runs_of("alpha")) == 2 and len(sweep.runs_of("alpha-more")) == 1
    with pytest.raises(UsageError, match="other runs"):
        sweep.record(one, "alpha")
    assert len(sweep.runs_of("alpha")) == 2


def folder_recipe(tmp_path):
    """Write a recipe on a folder of sounds, two classes of three."""
    for label in "ab":
        for number in range(3):
            path = tmp_path / "sounds" / label / f"{number}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"no sound")
    text = (registry.bundled("recipes") / "quickstart.yaml").read_text(encoding="utf-8")
    content = yaml.safe_load(text)
    content["data"] = {"dataset": "folder", "path": str(tmp_path / "sounds")}
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    return str(file)


def test_a_sweep_keeps_its_name_when_its_data_are_mended(tmp_path):
    """The same points on other files are other runs of the same sweep."""
    points = sweep.grid([folder_recipe(tmp_path)], ["train.epochs=1,2"], 2)
    file = sweep.record(points, "mine")
    before = sweep.runs_of("mine")
    (tmp_path / "sounds" / "a" / "0.wav").write_bytes(b"mended")
    assert sweep.place(points, "mine") == sweep.record(points, "mine") == file
    after = sweep.runs_of("mine")
    assert len(after) == len(before) == 4 and not set(after) & set(before)
    with pytest.raises(UsageError, match="other runs"):
        sweep.record(points[:2], "mine")
    with pytest.raises(UsageError, match="other runs"):
        sweep.record(points[::-1], "mine")


def test_the_name_of_a_sweep_fits_a_file_however_deep_the_recipe_lies(tmp_path):
    deep = tmp_path.joinpath(*["d" * 200] * 3)
    deep.mkdir(parents=True)
    recipe = shutil.copy(folder_recipe(tmp_path), deep / "r.yaml")
    points = sweep.grid([str(recipe)], [], 1)
    assert sweep.runs_of(str(sweep.record(points))) is not None
    assert sweep.name_of(points) != sweep.name_of(sweep.grid([str(recipe)], [], 2))


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", "a b", "-x", "x" * 81])
def test_a_name_that_is_no_files_is_one_line(name):
    with pytest.raises(UsageError, match="not a name"):
        sweep.record(sweep.grid(["quickstart"], [], 1), name)
