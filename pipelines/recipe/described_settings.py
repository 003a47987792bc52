"""Describe each setting by the schema: its default, the values that it takes and its sentence.

`avsnn show`, docs/settings.md and the tests use this: a sentence is written once, beside the code
that takes the setting.
"""

import inspect
import types
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined, to_jsonable_python

from pipelines.recipe.messages import show

PLAIN = {int: "integer", float: "number", str: "text", bool: "true or false", type(None): "null"}
SECTION = "section"


@dataclass(frozen=True)
class Setting:
    """One setting of a section.

    path: "neuron.tau". takes: "integer 1 to 256", or "section" if it holds settings. text: a
    sentence. default: plain data; None if the setting is required. value: as a recipe has it.
    """

    path: str
    takes: str
    text: str
    default: Any = None
    required: bool = False
    value: Any = field(default=None)

    def explained(self) -> str:
        """Return the sentence, followed by the values that the setting takes."""
        return self.text if self.takes == SECTION else f"{self.text} Takes: {self.takes}."


def settings_of(
    model: type[BaseModel], values: BaseModel | None = None, before: str = ""
) -> Iterator[Setting]:
    """Yield the settings of a section, each section in it followed by its own settings.

    values: the section as a recipe has it, or its default. before: the path of the section.
    """
    for name, info in model.model_fields.items():
        default = info.get_default(call_default_factory=True, validated_data={})
        value = default if values is None else getattr(values, name)
        missing = default is PydanticUndefined
        held = section_in(info.annotation)
        yield Setting(
            path=before + name,
            takes=SECTION if held else takes(info.annotation, info.metadata),
            text=sentence(info),
            default=None if missing else to_jsonable_python(default),
            required=missing,
            value=None if value is PydanticUndefined else to_jsonable_python(value),
        )
        if held:
            # the type of the value has more fields than the annotation, where a module adds its own
            inner = value if isinstance(value, BaseModel) else None
            yield from settings_of(type(inner) if inner else held, inner, f"{before}{name}.")


def sentence(info: FieldInfo) -> str:
    """Return a field's description; for a section without one, its docstring's first line."""
    held = section_in(info.annotation)
    fallback = (inspect.getdoc(held) or "").split("\n")[0] if held else ""
    return info.description or fallback


def section_in(annotation: Any) -> type[BaseModel] | None:
    """Return the section that a field holds, also one that may be null; None if it holds none."""
    for part in (annotation, *get_args(annotation)):
        if isinstance(part, type) and issubclass(part, BaseModel):
            return part
    return None


def takes(annotation: Any, constraints: Iterable[Any] = ()) -> str:
    """Describe the values of an annotation: "integer 1 to 256", "time or count", "null or text".

    constraints: those of the annotation as a whole, as pydantic keeps them.
    """
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return takes(parts[0], _flat(parts[1:]))
    if origin is Literal:
        return f"only {parts[0]}" if len(parts) == 1 else _joined([_plain(part) for part in parts])
    if origin in (Union, types.UnionType):
        constraints, none = list(constraints), type(None)
        ordered = sorted(parts, key=lambda part: part is not none)
        return " or ".join(takes(part, () if part is none else constraints) for part in ordered)
    if origin is tuple:
        count = "list" if Ellipsis in parts else f"list of {len(parts)}"
        return f"{count}, each {takes(parts[0])}"
    bounds = _bounds(constraints, whole=annotation is int)
    return " ".join(filter(None, [PLAIN.get(annotation, show(annotation)), bounds]))


def _flat(metadata: Iterable[Any]) -> Iterator[Any]:
    # pydantic leaves a Field inside Annotated as a FieldInfo, with its bounds in it
    for part in metadata:
        yield from part.metadata if isinstance(part, FieldInfo) else (part,)


def _bounds(constraints: Iterable[Any], *, whole: bool) -> str:
    """Write the limits: "1 to 256", "over 0, at most 10", "at least 0"."""
    limits = {
        name: getattr(constraint, name)
        for constraint in constraints
        for name in ("ge", "gt", "le", "lt")
        if getattr(constraint, name, None) is not None
    }
    if whole:  # an integer below 5 is at most 4
        if "gt" in limits:
            limits["ge"] = limits.pop("gt") + 1
        if "lt" in limits:
            limits["le"] = limits.pop("lt") - 1
    if limits.keys() == {"ge", "le"}:
        return f"{limits['ge']:.10g} to {limits['le']:.10g}"
    words = {"ge": "at least", "gt": "over", "le": "at most", "lt": "below"}
    return ", ".join(f"{words[name]} {limits[name]:.10g}" for name in words if name in limits)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else show(value)


def _joined(names: list[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"
