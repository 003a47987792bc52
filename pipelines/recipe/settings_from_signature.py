"""Make the schema of a recipe section from a function's keyword-only parameters.

A data set, feature or model declares its settings once: as the typed keyword-only parameters of the
function that does the work. `Annotated[int, Field(ge=1, description="…")]` carries bounds and help.
"""

import inspect
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, create_model


class Section(BaseModel):
    """A recipe section: unknown keys are refused, values are not coerced, nothing is mutable."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


def settings_model(
    function: Callable[..., Any], base: type[Section] = Section, omit: frozenset[str] = frozenset()
) -> type[Section]:
    """Return the section of a function: base's fields, then its keyword-only parameters.

    omit: parameters that the caller supplies itself, such as the number of classes.
    """
    parameters = {
        name: parameter
        for name, parameter in keyword_only(function).items()
        if name not in omit and name not in base.model_fields
    }
    # only these hints are resolved: a feature's file need not import torch for its schema
    holder = SimpleNamespace(__annotations__={n: p.annotation for n, p in parameters.items()})
    # the annotations may be texts, which have a meaning only in the function's own module
    target: Any = vars(function)["__init__"] if isinstance(function, type) else function
    hints = get_type_hints(holder, globalns=target.__globals__, include_extras=True)
    fields: dict[str, Any] = {
        name: (hints[name], ... if p.default is inspect.Parameter.empty else p.default)
        for name, p in parameters.items()
    }
    return create_model("Settings", __base__=base, **fields)


def keyword_only(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Return the keyword-only parameters of a function or of a class's constructor."""
    parameters = inspect.signature(function).parameters
    return {n: p for n, p in parameters.items() if p.kind is inspect.Parameter.KEYWORD_ONLY}


def keyword_arguments(function: Callable[..., Any], section: Section) -> dict[str, Any]:
    """Return the values of a section that the function takes as keyword-only parameters."""
    known = type(section).model_fields
    return {name: getattr(section, name) for name in keyword_only(function) if name in known}
