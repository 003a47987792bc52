"""Translate pydantic's errors into faults: plain words, with line and column in the YAML file."""

import re
import typing
from collections.abc import Mapping
from types import UnionType
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from pipelines.recipe.messages import Document, Fault, KeyPath, fault_at, show
from pipelines.registry import closest


def faults_of(document: Document, failure: ValidationError, model: type[BaseModel]) -> list[Fault]:
    """Return the faults of a failed validation of `document.data` against a model."""
    by_path: dict[KeyPath, list[ErrorDetails]] = {}
    for error in failure.errors(include_url=False):
        path = _path_of(document.data, error)
        # what the reader has refused is a fault already
        if not any(path[:length] in document.holes for length in range(len(path) + 1)):
            by_path.setdefault(path, []).append(error)
    return [_fault(document, path, errors, model) for path, errors in by_path.items()]


def _fault(
    document: Document, path: KeyPath, errors: list[ErrorDetails], model: type[BaseModel]
) -> Fault:
    if errors[0]["type"] == "extra_forbidden":
        known = _keys_at(model, path[:-1])
        hint = f" ({closest(str(path[-1]), known)})" if known else ""
        return fault_at(document, path, f"unknown key{hint}", on_key=True)
    # A union reports each of its alternatives: one fault, "must be an integer or auto (is 'x')".
    rules, values = zip(*map(plain_words, errors), strict=True)
    rules = (rules[0], *(rule.removeprefix("must be ") for rule in rules[1:]))
    actual = next((f" ({value})" for value in values if value), "")
    return fault_at(document, path, " or ".join(dict.fromkeys(rules)) + actual)


def _path_of(data: Any, error: ErrorDetails) -> KeyPath:
    """Return pydantic's location without parts that the data do not have, such as alternatives."""
    path: list[str | int] = []
    node = data
    for index, part in enumerate(error["loc"]):
        is_last = index == len(error["loc"]) - 1
        is_key = isinstance(node, dict) and part in node
        is_item = isinstance(node, list) and isinstance(part, int) and part < len(node)
        if is_key or is_item:
            node = node[part]
        elif not (is_last and error["type"] == "missing"):
            continue
        path.append(part)
    return tuple(path)


def _keys_at(model: type[BaseModel], path: KeyPath) -> list[str]:
    """Return the keys that a model takes at a path; [] where they are not known."""
    annotation: Any = model
    for part in path:
        annotation = _below(annotation, part)
    return [key for kind in _alternatives(annotation) for key in _fields(kind)]


def _alternatives(annotation: Any) -> list[Any]:
    """Return the members of a union, without their Annotated."""
    if typing.get_origin(annotation) in (typing.Union, UnionType, typing.Annotated):
        members = typing.get_args(annotation)
        return [inner for member in members for inner in _alternatives(member)]
    return [annotation]


def _below(annotation: Any, part: str | int) -> Any:
    """Return the annotation of one key or item; None if there is none."""
    for kind in _alternatives(annotation):
        inner = typing.get_args(kind)
        if part in _fields(kind):
            return _fields(kind)[str(part)]
        if typing.get_origin(kind) is dict or (inner and isinstance(part, int)):
            return inner[-1] if inner[-1] is not Ellipsis else inner[0]
    return None


def _fields(kind: Any) -> dict[str, Any]:
    """Return the annotations of a model's or TypedDict's keys."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return {name: info.annotation for name, info in kind.model_fields.items()}
    # A TypedDict, of typing or of typing_extensions, which pydantic wants before Python 3.12.
    if hasattr(kind, "__required_keys__"):
        return typing.get_type_hints(kind)
    return {}


_WORDS: dict[str, str] = {
    "missing": "missing",
    "int_type": "must be an integer",
    "int_from_float": "must be an integer",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "string_type": "must be text",
    "none_required": "must be null",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "typed_dict_type": "must be a mapping",
    "greater_than": "must be > {gt}",
    "greater_than_equal": "must be ≥ {ge}",
    "less_than": "must be < {lt}",
    "less_than_equal": "must be ≤ {le}",
    "multiple_of": "must be a multiple of {multiple_of}",
    "too_short": "must have at least {min_length} items",
    "too_long": "must have at most {max_length} items",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "string_pattern_mismatch": "must match {pattern}",
    "value_error": "{error}",
    "assertion_error": "{error}",
}


def plain_words(error: ErrorDetails) -> tuple[str, str]:
    """Return a pydantic error as a rule and the actual value: ("must be ≥ 1", "is 0")."""
    kind, value = error["type"], error["input"]
    context = {
        name: f"{bound:g}" if isinstance(bound, float) else bound
        for name, bound in error.get("ctx", {}).items()
    }
    if kind in ("literal_error", "enum"):
        return _choice(context["expected"], value)
    # an error that has no words here keeps pydantic's own
    rule = _WORDS[kind].format_map(context) if kind in _WORDS else error["msg"].lower()
    if kind in ("too_short", "too_long"):
        return rule, f"has {context['actual_length']}"
    # The text of a fault between the fields of a section names them.
    is_enough = kind == "missing" or (kind == "value_error" and isinstance(value, Mapping))
    return rule, "" if is_enough else f"is {show(value)}"


def _choice(expected: str, value: Any) -> tuple[str, str]:
    """Return a rule and an actual value: "must be one of a, b", "is 'c'; did you mean b?"."""
    # pydantic lists the values only as text: 'adam', 'adamw' or 'sgd'; numbers without quotes
    known = re.findall(r"'([^']*)'", expected) or re.split(r", | or ", expected)
    rule = f"must be one of {', '.join(known)}" if len(known) > 1 else f"must be {known[0]}"
    near = closest(value, known) if isinstance(value, str) else ""
    hint = f"; {near}" if near.startswith("did you mean") else ""
    return rule, f"is {show(value)}{hint}"
