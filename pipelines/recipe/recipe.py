"""Find the YAML file of a run, check it against the modules that it names, and resolve it."""

import difflib
import json
import os.path
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipelines import registry
from pipelines.disk.paths import expanded, is_file
from pipelines.errors import RecipeError
from pipelines.recipe.messages import Document, Fault, fault_at, render, show
from pipelines.recipe.modules import completed
from pipelines.recipe.noise import Noise, SnrRange, parse_range
from pipelines.recipe.overrides import with_overrides
from pipelines.recipe.schema import (
    AudioInput,
    DataInput,
    ModelInput,
    Published,
    RecipeFile,
    Runtime,
    Train,
    VisualInput,
)
from pipelines.recipe.schema_messages import faults_of
from pipelines.recipe.yaml_reader import dump, scan

__all__ = [
    "Recipe",
    "SnrRange",
    "bundled_names",
    "by_path",
    "find",
    "load_recipe",
    "name_of",
    "parse_range",
]

LONGEST_NAME = (
    180  # bytes; a file name has 255, and a run's also holds its key and a temporary part
)
SECTIONS = ("data", "audio", "visual", "model", "train", "noise", "published", "runtime")


@dataclass(frozen=True)
class Recipe:
    """A valid recipe with every default in it. name: the first part of its run folders' names."""

    name: str
    path: Path
    version: int
    seed: int
    data: DataInput
    audio: AudioInput | None
    visual: VisualInput | None
    model: ModelInput
    train: Train
    noise: Noise
    published: Published | None
    runtime: Runtime

    def resolved(self) -> dict[str, Any]:
        """Return all settings as plain JSON data; a section that is None has no key."""
        sections = {name: getattr(self, name) for name in SECTIONS}
        return {"version": self.version, "seed": self.seed} | {
            name: section.model_dump(mode="json")
            for name, section in sections.items()
            if section is not None
        }

    def to_yaml(self) -> str:
        """Return the resolved recipe as YAML; loading that gives the same resolved recipe."""
        return dump(self.resolved())


def load_recipe(path: Path, overrides: Sequence[str] = (), *, with_model: bool = True) -> Recipe:
    """Read and check a recipe, with `a.b=VALUE` overrides applied.

    with_model: False leaves the model's settings unread, which avoids importing torch; for stages
    that only prepare data.
    Raises RecipeError with every fault of the file and of the overrides, UsageError for an override
    that is not of that form.
    """
    document, schema, faults = completed(
        with_overrides(scan(path), overrides), skip=() if with_model else ("model",)
    )
    if not document.data.keys() & {"audio", "visual"} and () not in document.holes:
        faults.append(fault_at(document, (), "needs a section audio, visual, or both"))
    # through JSON: strict pydantic takes a list for a tuple only from there
    try:
        checked = schema.model_validate_json(json.dumps(document.data, allow_nan=False))
    except ValidationError as failure:
        faults.extend(faults_of(document, failure, schema))
    else:
        faults.extend(_time_steps_that_differ(document, checked))
        faults.extend(_colours_that_are_none(document, checked))
        faults.extend(_events_that_are_none(document, checked))
        # misfit is the model's own code, written for valid settings
        if with_model and not faults:
            faults.extend(_sizes_that_do_not_fit(document, checked))
    faults.extend(document.faults)
    if too_long := _name_fault(path):
        faults.append(fault_at(document, (), too_long))
    if faults:
        raise RecipeError(render(document, faults))
    values = {name: getattr(checked, name) for name in ("version", "seed", *SECTIONS)}
    return Recipe(name=name_of(path), path=path, **values)


def _name_fault(path: Path) -> str:
    """Return the fault of a name that is too long for a run's folder; "" if it is not."""
    size = len(os.fsencode(path.stem))
    return f"{size} bytes of name, at most {LONGEST_NAME}" if size > LONGEST_NAME else ""


def by_path(settings: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Return nested settings by dotted path, in their order: {"train.optimizer.lr": 0.001}."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            flat |= by_path(value, f"{before}{name}.")
        else:
            flat[before + name] = value
    return flat


def _time_steps_that_differ(document: Document, checked: RecipeFile) -> list[Fault]:
    """Return the faults of inputs whose number of time steps is not the network's."""
    steps = getattr(checked.model, "time_steps", None)
    faults = []
    for section in ("audio", "visual"):
        settings = getattr(checked, section)
        for name in ("time_steps", "frames"):
            count = getattr(settings, name, None)
            # one frame is a still picture, which the network sees at every step
            is_static = name == "frames" and count == 1
            if None not in (steps, count) and count != steps and not is_static:
                text = f"{count}, but model.time_steps is {steps}: they must be equal"
                faults.append(fault_at(document, (section, name), text))
    return faults


def _colours_that_are_none(document: Document, checked: RecipeFile) -> list[Fault]:
    """Return the fault of ImageNet's mean and sd, of red, green and blue, for other channels."""
    visual = checked.visual
    if visual is None or visual.normalise != "imagenet" or getattr(visual, "channels", 0) == 3:
        return []
    text = "imagenet is for images of 3 channels; write training or none"
    return [fault_at(document, ("visual", "normalise"), text)]


def _events_that_are_none(document: Document, checked: RecipeFile) -> list[Fault]:
    """Return the fault of an augmentation of events where no input is made of events."""
    if not checked.train.augment.events.varies():
        return []
    features = [s.feature for s in (checked.audio, checked.visual) if s is not None]
    reads = [getattr(registry.load_module("feature", name), "READS", "") for name in features]
    if {"events", "spikes"} & set(reads):
        return []
    text = f"no input is made of events ({' and '.join(features)} are not)"
    return [fault_at(document, ("train", "augment", "events"), text)]


def _sizes_that_do_not_fit(document: Document, checked: RecipeFile) -> list[Fault]:
    """Return the fault of input sizes that the model refuses, before hours of preparing them."""
    misfit = getattr(registry.load_module("model", checked.model.name), "misfit", None)
    if misfit is None:
        return []
    sizes = (getattr(section, "size", None) for section in (checked.audio, checked.visual))
    text = misfit(checked.model, *sizes)
    return [fault_at(document, ("audio", "size"), text)] if text else []


def name_of(path: Path) -> str:
    """Return a recipe's name: of a bundled one with its folder, of another file the stem."""
    folder = registry.bundled("recipes").resolve()
    if path.resolve().is_relative_to(folder):
        return path.resolve().relative_to(folder).with_suffix("").as_posix()
    return path.stem


def bundled_names() -> list[str]:
    """Return the names of the bundled recipes, such as spoken_digits_av/s_cmrl, sorted."""
    folder = registry.bundled("recipes")
    files = (file.relative_to(folder).with_suffix("") for file in folder.rglob("*.yaml"))
    return sorted(file.as_posix() for file in files)


def find(name: str) -> Path:
    """Return the file of a recipe, from the path of a YAML file or the name of a bundled recipe.

    In a bundled name `-` and `_` are the same, and `.yaml` may be left out. Raises RecipeError with
    the nearest name.
    """
    path = expanded(name)
    if path.suffix in (".yaml", ".yml") and is_file(path):
        return path
    known = {_plain(bundled): bundled for bundled in bundled_names()}
    if _plain(name) in known:
        return registry.bundled("recipes") / f"{known[_plain(name)]}.yaml"
    # the nearest name is looked up by stem too: "s_cml" alone is far from "crema_d/s_cmrl"
    by_stem = {bundled.rpartition("/")[2]: bundled for bundled in known.values()} | known
    near = difflib.get_close_matches(_plain(name), by_stem, n=1)
    nearest = f" (did you mean {by_stem[near[0]]}?)" if near else ""
    raise RecipeError(f"no recipe {show(name)}{nearest}", hint="avsnn ls recipes")


def _plain(name: str) -> str:
    return name.removesuffix(".yaml").replace("-", "_")
