"""Add to a recipe what the modules that it names have: schema of settings, presets and defaults.

The schema is read off the functions that do the work, so that a new data set, feature or model
brings its settings with it.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from types import ModuleType
from typing import Any

from pydantic import BaseModel, create_model
from pydantic_core import to_jsonable_python

from pipelines import registry
from pipelines.errors import UsageError
from pipelines.recipe.messages import Document, Fault, KeyPath, fault_at, show
from pipelines.recipe.schema import (
    AudioInput,
    DataInput,
    ModelInput,
    RecipeFile,
    SpikeInput,
    VisualInput,
)
from pipelines.recipe.settings_from_signature import Section, settings_model

# computed from the data, so no settings
SUPPLIED = {"model": frozenset({"classes", "audio_channels", "visual_channels"})}


@dataclass(frozen=True)
class Naming:
    """A section that names a module by one of its keys; function: the one with the settings."""

    section: str
    key: str
    kind: str
    function: str
    base: type[Section]


NAMINGS = (
    Naming("data", "dataset", "dataset", "pairs", DataInput),
    Naming("audio", "feature", "feature", "extract", AudioInput),
    Naming("visual", "feature", "feature", "extract", VisualInput),
    Naming("model", "name", "model", "build", ModelInput),
)


def completed(
    document: Document, skip: Collection[str] = ()
) -> tuple[Document, type[RecipeFile], list[Fault]]:
    """Return the document completed by presets and nested defaults, its schema, and its faults.

    A section that names no module, or is to be skipped, keeps only the keys that can be checked
    without one.
    """
    faults: list[Fault] = []
    fields: dict[str, Any] = {}
    # copies: the caller's document must stay as the file has it
    document = replace(document, data=dict(document.data), sources=dict(document.sources))
    for naming in NAMINGS:
        default = None if naming.section in ("audio", "visual") else ...
        fields[naming.section] = (naming.base, default)
        written = document.data.get(naming.section)
        if not isinstance(written, dict):
            continue
        module = None if naming.section in skip else _module(document, naming, faults)
        if module is None:
            known = naming.base.model_fields
            document.data[naming.section] = {k: v for k, v in written.items() if k in known}
            continue
        # spikes have no sampling rate
        base = SpikeInput if getattr(module, "READS", "") == "spikes" else naming.base
        model = _settings(getattr(module, naming.function), base, naming.kind)
        fields[naming.section] = (model, default)
        if naming.kind == "model":
            written = _with_preset(document, module, faults)
        document.data[naming.section] = _with_nested_defaults(model, written)
    return document, create_model("Recipe", __base__=RecipeFile, **fields), faults


def _module(document: Document, naming: Naming, faults: list[Fault]) -> ModuleType | None:
    """Import the module that a section names; None if there is none.

    A name that is not text is a fault of the schema; any other failure adds one to faults.
    """
    path = (naming.section, naming.key)
    name = document.data[naming.section].get(naming.key)
    if not isinstance(name, str):
        return None
    try:
        module = registry.load_module(naming.kind, name)
    except UsageError as cause:
        faults.append(fault_at(document, path, f"{cause.message} ({cause.hint})"))
        return None
    if not hasattr(module, naming.function):
        faults.append(fault_at(document, path, f"{show(name)} is not a {naming.kind}"))
        return None
    modality = getattr(module, "MODALITY", naming.section)
    if naming.kind == "feature" and modality != naming.section:
        text = f"{name} is a feature of the {modality} input; write it under {modality}"
        faults.append(fault_at(document, path, text))
        return None
    return module


@cache
def _settings(function: Callable[..., Any], base: type[Section], kind: str) -> type[Section]:
    return settings_model(function, base, omit=SUPPLIED.get(kind, frozenset()))


def _with_preset(document: Document, module: ModuleType, faults: list[Fault]) -> dict[str, Any]:
    """Return the model section as written, completed by the preset that it names."""
    written: dict[str, Any] = document.data["model"]
    presets: Mapping[str, Mapping[str, Any]] = module.PRESETS
    name = written.get("preset", ModelInput.model_fields["preset"].default)
    if isinstance(name, str) and name not in presets:
        hint = registry.closest(name, sorted(presets))
        text = f"no preset {show(name)} of {written['name']} ({hint})"
        faults.append(fault_at(document, ("model", "preset"), text))
    # with no such preset, any other one lets the other faults be reported too
    preset = presets.get(str(name)) or next(iter(presets.values()), {})
    plain = to_jsonable_python(preset)
    for path in _added(plain, written, ("model",)):
        document.sources[path] = f"preset {name} of {written['name']}"
    return merged(plain, written)


def _added(under: Mapping[str, Any], over: Mapping[str, Any], path: KeyPath) -> Iterator[KeyPath]:
    """Yield the paths that a merge takes from below."""
    for key, value in under.items():
        if key not in over:
            yield (*path, key)
        elif isinstance(value, dict) and isinstance(over[key], dict):
            yield from _added(value, over[key], (*path, key))


def _with_nested_defaults(model: type[Section], written: dict[str, Any]) -> dict[str, Any]:
    """Return the section with its partly written mappings completed by their defaults."""
    filled = dict(written)
    for name, info in model.model_fields.items():
        default = info.get_default(call_default_factory=True, validated_data={})
        if isinstance(filled.get(name), dict) and isinstance(default, dict | BaseModel):
            filled[name] = merged(to_jsonable_python(default), filled[name])
    return filled


def merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return two mappings merged key by key, also those inside them; over wins."""
    result = dict(under)
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(below := result.get(key), dict):
            value = merged(below, value)
        result[key] = value
    return result
