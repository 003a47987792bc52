"""A split that the user's data bring is taken, or it is said that it is not; never lost."""

from collections import Counter

import pytest

from pipelines.datasets import folder
from pipelines.errors import DataError
from pipelines.recipe import recipe as recipes
from tests.unit.test_folder import png, wav


def split_tree(root, **folders):
    """Write two classes below each folder, as many pairs a class as asked for."""
    for name, count in folders.items():
        for label in ("dog", "rain"):
            for i in range(count):
                wav(root / name / label / f"{i}.wav")
                png(root / name / label / f"{i}.png")
    return root


def sides(root, **settings):
    found = folder.pairs(root, path=str(root), **settings)
    return {(clip.audio or clip.visual).split("/")[0]: clip.split for clip in found}


def said(root, protocol, **settings):
    return folder.remarks(root, protocol=protocol, **settings)


def test_the_bundled_recipe_and_the_default_take_the_split_of_the_data():
    recipe = recipes.load_recipe(recipes.find("folder/s_cmrl"), with_model=False)
    assert recipe.data.protocol == "auto"
    bare = recipes.load_recipe(
        recipes.find("folder/s_cmrl"), ["data={dataset: folder, path: x}"], with_model=False
    )
    assert bare.data.protocol == "auto"


@pytest.mark.parametrize("train", ["train", "Training", "TRAIN"])
@pytest.mark.parametrize("validation", ["val", "Valid", "validation", "DEV"])
@pytest.mark.parametrize("test", ["test", "Testing", "eval"])
def test_folders_with_names_of_splits_are_the_split(tmp_path, train, validation, test):
    root = split_tree(tmp_path, **{train: 3, validation: 2, test: 2})
    (root / ".git").mkdir()
    assert sides(root) == {train: "train", validation: "validation", test: "test"}
    assert folder.classes(root) == ("dog", "rain")
    (line,) = said(root, "auto")
    assert line.startswith("split: given by the folders ") and train in line and test in line


def test_a_column_split_is_the_split_in_any_spelling(tmp_path):
    root = split_tree(tmp_path, pool=6)
    names = ("Training", "train", "DEV", "eval", "Testing", "valid")
    rows = [f"pool/{x}/{i}.wav,{x},{names[i]}" for x in ("dog", "rain") for i in range(6)]
    (root / "clips.csv").write_text("\n".join(["audio,label,split", *rows]))
    found = folder.pairs(root, path=str(root))
    wanted = ["train", "train", "validation", "test", "test", "validation"]
    assert [c.split for c in sorted(found, key=lambda c: c.audio)] == wanted * 2
    assert said(root, "auto") == ["split: given by the column split of clips.csv"]
    assert folder.protocol_of(root) == "given"
    assert folder.protocol_of(root, protocol="grouped") == "grouped"
    for protocol in ("random", "grouped"):
        (notice,) = said(root, protocol)
        assert "notice" in notice and "not used" in notice and protocol in notice
    assert said(root, "given") == []


def test_data_without_a_split_are_split_at_random_and_it_is_said(tmp_path):
    root = split_tree(tmp_path, a=10, b=10)
    for name in ("a", "b"):
        for label in ("dog", "rain"):
            (root / name / label).rename(root / f"{name}{label}")
        (root / name).rmdir()
    found = folder.pairs(root, path=str(root))
    assert found == folder.pairs(root, path=str(root), protocol="random")
    assert Counter(clip.split for clip in found) == {"train": 28, "validation": 4, "test": 8}
    assert said(root, "auto") == [
        "split: random, by data.seed; the data have no split of their own"
    ]
    assert said(root, "random") == []


def test_a_split_that_is_asked_to_be_pooled_is_pooled_with_a_notice(tmp_path):
    root = split_tree(tmp_path, train=6, test=4)
    found = folder.pairs(root, path=str(root), protocol="random")
    mixed = {(clip.audio.split("/")[0], clip.split) for clip in found}
    assert {("train", "test"), ("test", "train")} & mixed
    (notice,) = said(root, "random")
    assert "the folders test, train" in notice and "not used" in notice


def test_other_folders_beside_splits_stop_with_their_names(tmp_path):
    root = split_tree(tmp_path, train=3, valid=3, test=3, extra=3)
    with pytest.raises(DataError, match=r"beside test, train, valid: extra$"):
        folder.pairs(root, path=str(root))
    with pytest.raises(DataError, match="extra"):
        folder.classes(root)


def test_two_folders_of_one_split_stop_with_their_names(tmp_path):
    root = split_tree(tmp_path, train=3, val=3, valid=3, test=3)
    with pytest.raises(DataError, match="val and valid are both for validation"):
        folder.classes(root)


def test_a_class_may_be_called_train(tmp_path):
    for label in ("train", "bus", "car"):
        for i in range(4):
            wav(tmp_path / label / f"{i}.wav")
    assert folder.classes(tmp_path) == ("bus", "car", "train")
    assert len(folder.pairs(tmp_path, path=str(tmp_path))) == 12


@pytest.mark.parametrize(
    ("folders", "lacking"),
    [({"train": 4, "val": 4}, "test"), ({"test": 4, "val": 4}, "train"), ({"train": 4}, "test")],
)
def test_a_split_that_lacks_a_side_stops_and_says_how_to_go_on(tmp_path, folders, lacking):
    root = split_tree(tmp_path, **folders)
    with pytest.raises(DataError, match=f"no clips for {lacking}") as caught:
        folder.pairs(root, path=str(root))
    assert "data.protocol" in caught.value.hint
    assert folder.pairs(root, path=str(root), protocol="random")


def test_splits_below_the_trees_or_the_classes_are_never_classes_nor_pooled_unsaid(tmp_path):
    for split in ("train", "test"):
        for label in ("dog", "rain"):
            for i in range(3):
                wav(tmp_path / "trees/audio" / split / label / f"{i}.wav")
                png(tmp_path / "trees/images" / split / label / f"{i}.png")
                wav(tmp_path / "classes" / label / split / f"{i}.wav")
    with pytest.raises(DataError, match="test, train lie below") as caught:
        folder.classes(tmp_path / "trees")
    assert "test/audio/" in caught.value.hint or "test/images/" in caught.value.hint
    root = tmp_path / "classes"
    assert folder.classes(root) == ("dog", "rain")
    with pytest.raises(DataError, match="below the class folders, such as dog/test"):
        folder.pairs(root, path=str(root))
    assert len(folder.pairs(root, path=str(root), protocol="random")) == 12
    (notice,) = said(root, "random")
    assert "dog/test" in notice and "not used" in notice


def test_a_table_whose_paths_name_splits_that_no_column_gives_says_so(tmp_path):
    root = split_tree(tmp_path, train=4, test=2)
    rows = [
        f"{s}/{x}/{i}.wav,{x}" for s in ("train", "test") for x in ("dog", "rain") for i in range(2)
    ]
    (root / "clips.csv").write_text("\n".join(["audio,label", *rows]))
    notice, split = said(root, "auto")
    assert "train/dog/0.wav" in notice and "not used" in notice and "random" in split


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("dog", "Dog"),
        ("caf\u00e9", "cafe\u0301"),
        ("rain", "rain "),
        ("rain", "rain\u200b"),
        ("0", "0.0"),
    ],
)
def test_class_folders_that_are_one_class_in_two_spellings_stop(tmp_path, one, other):
    for split, label in (("train", one), ("test", other)):
        for name in (label, "zebra"):
            for i in range(4):
                wav(tmp_path / split / name / f"{i}.wav")
    with pytest.raises(DataError) as caught:
        folder.pairs(tmp_path, path=str(tmp_path))
    assert ascii(one)[1:-1] in caught.value.message and ascii(other)[1:-1] in caught.value.message


def test_trees_that_spell_a_class_in_two_ways_stop_with_both(tmp_path):
    for i in range(4):
        for tree, label in (("audio", "Dog"), ("images", "dog")):
            write = wav if tree == "audio" else png
            write(tmp_path / tree / label / f"{i}.{'wav' if tree == 'audio' else 'png'}")
    with pytest.raises(DataError, match="'Dog' and 'dog'"):
        folder.classes(tmp_path)
