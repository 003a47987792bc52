"""Keys: over the resolved settings and what they are made from, and over nothing else."""

import json
import os
import subprocess
import sys

import pytest

from pipelines.disk import store
from pipelines.errors import AvsnnError
from pipelines.plan import plan
from pipelines.recipe import recipe as recipes


def keys(*settings, name="quickstart"):
    recipe = recipes.load_recipe(recipes.find(name), settings)
    data = plan.plan_data(recipe)
    caches = {modality: cache.folder.name for modality, cache in data.caches.items()}
    return {"clips": data.clips.name, **caches, "run": plan.run_folder(recipe).name}


@pytest.fixture(scope="module")
def plain():
    return keys()


def changed(before, *settings):
    after = keys(*settings)
    return {name for name in before if before[name] != after[name]}


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("runtime.device=cpu", set()),
        ("runtime.num_workers=2", set()),
        ("noise.seed=3", set()),
        ("seed=1", {"run"}),
        ("train.epochs=3", {"run"}),
        ("model.alpha=1.0", {"run"}),
        ("visual.flip=true", {"run"}),
        ("audio.hop=100", {"audio", "run"}),
        ("audio.seconds=0.4", {"audio", "run"}),
        ("visual.margin=1", {"visual", "run"}),
        ("data.seed=1", {"clips", "audio", "visual", "run"}),
        ("model.alpha=1.5", set()),  # the default, said aloud
        ("train.optimizer.lr=0.002", set()),
    ],
)
def test_a_setting_changes_the_keys_of_what_it_shapes(plain, setting, expected):
    assert changed(plain, setting) == expected


def test_keys_are_the_same_in_every_process(plain):
    code = "from tests.unit.test_plan import keys\nimport json, sys\njson.dump(keys(), sys.stdout)"
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        )
        assert done.stdout == json.dumps(plain)


def test_a_key_is_the_sha256_of_canonical_json():
    # printf '{"a":[1,2.5],"b":"é"}' | sha256sum
    assert store.key({"b": "é", "a": [1, 2.5]}) == "2071e5952e31"


def needs_nothing(name):
    """Say whether a recipe's plan can be made without a folder of the user's."""
    try:
        keys(name=name)
    except AvsnnError:
        return False
    return True


def test_keys_are_the_same_in_every_working_folder(tmp_path, monkeypatch):
    """At sloclas an empty path was the working folder, and its files were in the key."""
    names = [name for name in recipes.bundled_names() if needs_nothing(name)]
    here = {name: keys(name=name) for name in names}
    assert {"sloclas", "urbansound8k", "crema_d"} <= {name.split("/")[0] for name in names}
    (tmp_path / "anything").write_text("of the user's")
    monkeypatch.chdir(tmp_path)
    assert {name: keys(name=name) for name in names} == here
