"""A function's keyword-only parameters are a recipe section."""

from typing import Annotated, Literal

import pytest
from pydantic import Field, ValidationError

from pipelines.recipe.settings_from_signature import Section, keyword_arguments, settings_model


def feature(
    waveform: "NotImported",  # noqa: F821  (a schema must not need it)
    *,
    hop: Annotated[int, Field(ge=1, description="samples")] = 4,
    size: tuple[int, int] = (2, 3),
    kind: Literal["a", "b"],
) -> None: ...


class Network:
    def __init__(self, *, classes: int, width: Annotated[int, Field(ge=8)] = 16) -> None: ...


class Named(Section):
    name: str


def test_a_function_gives_its_settings_bounds_and_defaults():
    found = settings_model(feature).model_validate_json('{"kind": "b", "size": [5, 6]}')
    assert found.model_dump() == {"hop": 4, "size": (5, 6), "kind": "b"}
    assert keyword_arguments(feature, found) == {"hop": 4, "size": (5, 6), "kind": "b"}


def test_a_class_gives_its_constructors_and_the_program_supplies_some():
    model = settings_model(Network, Named, omit=frozenset({"classes"}))
    assert list(model.model_fields) == ["name", "width"]
    assert keyword_arguments(Network, model(name="x", width=9)) == {"width": 9}


@pytest.mark.parametrize(
    "text",
    [
        '{"kind": "c"}',
        "{}",
        '{"kind": "a", "hop": 0}',
        '{"kind": "a", "hop": "4"}',
        '{"kind": "a", "hop": 4.5}',
        '{"kind": "a", "hopp": 4}',
        '{"kind": "a", "size": [1]}',
    ],
)
def test_what_does_not_fit_is_refused_and_not_coerced(text):
    with pytest.raises(ValidationError):
        settings_model(feature).model_validate_json(text)


def test_a_section_does_not_change():
    found = settings_model(feature)(kind="a")
    with pytest.raises(ValidationError):
        found.hop = 5
