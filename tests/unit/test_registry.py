"""Every data set, feature, model and recipe keeps its contract; one test for each kind."""

import ast
import subprocess
import sys
import typing

import pytest

from pipelines import recipe as recipes
from pipelines import registry
from pipelines.errors import UsageError
from pipelines.signature import keyword_only, settings_model
from pipelines.sources import manifest


@pytest.mark.parametrize("name", registry.names("dataset"))
def test_a_data_set_has_its_functions_and_a_manifest_that_agrees(name):
    module = registry.load("dataset", name)
    assert isinstance(module.VERSION, int)
    assert all(callable(getattr(module, part)) for part in ("pairs", "audio", "image"))
    found = manifest.load(name)
    assert found.licence and found.citation and len(found.classes) > 1
    settings = settings_model(module.pairs).model_fields
    assert set(found.protocols) == set(typing.get_args(settings["protocol"].annotation))
    assert "seed" in settings
    if found.access != "offline":
        assert found.files or found.folders
    for file in found.files:
        assert file.md5 or file.sha256 or file.content_md5
        assert all(url.startswith("https://") for url in file.urls)


@pytest.mark.parametrize("name", registry.names("feature"))
def test_a_feature_says_its_modality_unit_and_settings(name):
    module = registry.load("feature", name)
    assert module.MODALITY in ("audio", "visual")
    assert module.UNIT and isinstance(module.VERSION, int)
    for setting, info in settings_model(module.extract).model_fields.items():
        assert info.description, f"{name}.{setting} has no description"


@pytest.mark.parametrize("name", registry.names("model"))
def test_a_model_has_presets_and_describes_every_setting(name):
    module = registry.load("model", name)
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
    recipe = recipes.load(path)
    assert recipe.name == name


def test_a_misspelt_name_is_answered_with_the_nearest():
    with pytest.raises(UsageError) as caught:
        registry.load("model", "s-cmlr")
    assert caught.value.hint == "did you mean s-cmrl?"


def test_listing_and_reading_the_data_part_of_a_recipe_import_no_torch():
    code = """
import sys
from avsnn_cli import listing
listing.everything(None)
from pipelines import recipe, plan
plan.plan_data(recipe.load(recipe.find("quickstart"), with_model=False))
assert not {"torch", "h5py", "matplotlib"} & set(sys.modules), sorted(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
