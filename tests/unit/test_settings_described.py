"""Every setting is explained by a sentence, and docs/settings.md is what the code says."""

import re
from typing import Annotated, Literal

import pytest
from pydantic import Field, create_model

from avsnn_cli import catalogue, settings_page
from pipelines import registry
from pipelines.recipe.described_settings import settings_of, takes
from pipelines.recipe.schema import RecipeFile, SpikeInput
from pipelines.recipe.settings_from_signature import Section

# a capital or a digit, three words at least, and one full stop at the end
SENTENCE = re.compile(r"[A-Z0-9]\S*( \S+)* \S+ \S*[^ .]\.")
MODULES = [(kind, name) for kind in catalogue.KINDS for name in registry.names(kind)]


def not_explained(settings):
    return {s.path: s.text for s in settings if not SENTENCE.fullmatch(s.text)}


def test_every_setting_of_the_schema_is_explained_by_a_sentence():
    for section in (RecipeFile, SpikeInput):
        assert not_explained(settings_of(section)) == {}


@pytest.mark.parametrize(("kind", "name"), MODULES)
def test_every_setting_of_a_module_is_explained_by_a_sentence(kind, name):
    assert not_explained(catalogue.own_settings(kind, name)) == {}


@pytest.mark.parametrize("fragment", ["of the split", "Seed of the split", "Seed.", "", "A b. c"])
def test_a_fragment_is_no_sentence(fragment):
    model = create_model("Settings", __base__=Section, seed=(int, Field(description=fragment)))
    assert not_explained(settings_of(model)) == {"seed": fragment}


def test_the_page_of_settings_is_what_the_code_says():
    page = settings_page.PAGE.read_text(encoding="utf-8")
    assert page == settings_page.text(), "make settings"


def test_the_page_has_a_section_for_each_part_and_each_module():
    titles = re.findall(r"^### (\S+)$", settings_page.text(), re.M)
    parts = ["data", "audio", "visual", "model", "train", "noise", "published", "runtime"]
    assert titles == parts + [
        name for kind in ("model", "feature", "dataset") for name in registry.names(kind)
    ]


Side = Annotated[int, Field(ge=1, le=9)]


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (int, "integer"),
        (Annotated[int, Field(gt=0, lt=5)], "integer 1 to 4"),
        (Annotated[float, Field(gt=0, le=2)], "number over 0, at most 2"),
        (Annotated[float, Field(ge=0, lt=1)], "number at least 0, below 1"),
        (Annotated[float, Field(ge=0)] | None, "null or number at least 0"),
        (bool, "true or false"),
        (Literal["a", "b", "c"], "a, b or c"),
        (Literal["a"], "only a"),
        (tuple[Side, Side], "list of 2, each integer 1 to 9"),
        (tuple[str, ...], "list, each text"),
    ],
)
def test_what_a_setting_takes_is_written_for_people(annotation, text):
    assert takes(annotation) == text
    model = create_model("Settings", __base__=Section, x=(annotation, ...))
    (setting,) = settings_of(model)
    assert setting.takes == text and setting.required


def test_a_value_in_a_section_is_the_recipes_and_its_default_the_sections():
    inner = create_model("Inner", __base__=Section, tau=(float, 2.0))
    outer = create_model("Outer", __base__=Section, neuron=(inner, inner(tau=3.0)))
    by_path = {s.path: s for s in settings_of(outer, outer(neuron=inner(tau=5.0)))}
    assert by_path["neuron.tau"].value == 5.0
    assert {s.path: s.value for s in settings_of(outer)}["neuron.tau"] == 3.0
