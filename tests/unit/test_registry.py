"""Every model and recipe keeps its contract, and every name can be listed and found."""

import ast
import subprocess
import sys

import pytest

from pipelines import registry
from pipelines.errors import UsageError
from pipelines.recipe import recipe as recipes
from pipelines.recipe.settings_from_signature import keyword_only, settings_model


@pytest.mark.parametrize("name", registry.names("model"))
def test_a_model_has_presets_and_describes_every_setting(name):
    module = registry.load_module("model", name)
    assert "paper" in module.PRESETS
    supplied = frozenset({"classes", "audio_channels", "visual_channels"})
    assert "classes" in keyword_only(module.build)
    settings = settings_model(module.build, omit=supplied).model_fields
    assert set(module.ASSUMED) <= set(settings)
    for preset in module.PRESETS.values():
        assert set(preset) <= set(settings)
    for setting, info in settings.items():
        assert info.description or setting == "neuron", f"{name}.{setting} has no description"


@pytest.mark.parametrize("kind", ["dataset", "feature", "model"])
def test_a_summary_is_one_sentence_read_without_importing(kind):
    for name in registry.names(kind):
        line = registry.summary(kind, name)
        assert 10 < len(line) <= 100 and ast.get_docstring(ast.parse(f'"""{line}"""')) == line


@pytest.mark.parametrize("name", recipes.bundled_names())
def test_a_recipe_is_valid_and_headed_by_its_command(name):
    path = recipes.find(name)
    first = path.read_text().splitlines()[0]
    assert first.startswith("# ") and first.endswith(f"avsnn run {name}")
    recipe = recipes.load_recipe(path)
    assert recipe.name == name


def test_a_misspelt_name_is_answered_with_the_nearest():
    with pytest.raises(UsageError) as caught:
        registry.load_module("model", "s-cmlr")
    assert caught.value.hint == "did you mean s-cmrl?"


def test_listing_and_reading_the_data_part_of_a_recipe_import_no_torch():
    code = """
import sys
from avsnn_cli import listing
listing.everything(None)
from pipelines.plan import plan
from pipelines.recipe import recipe
plan.plan_data(recipe.load_recipe(recipe.find("quickstart"), with_model=False))
assert not {"torch", "h5py", "matplotlib"} & set(sys.modules), sorted(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_hint_is_short_however_many_names_are_known():
    known = [f"name-{i}" for i in range(500)]
    said = registry.closest("zzzzz", known)
    assert said.startswith("known: name-0, name-1, ") and said.endswith(" and 480 more")
    assert registry.closest("name_7", known) == "did you mean name-7?"
    assert registry.closest("zzzzz", known[:2]) == "known: name-0, name-1"
