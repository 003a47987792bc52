"""Descriptions of models, data sets and features, from docstrings, settings and manifests."""

import ast
import difflib
import inspect
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from pydantic_core import to_jsonable_python

from pipelines import registry
from pipelines.download import manifest as manifests
from pipelines.errors import RecipeError
from pipelines.recipe.described_settings import Setting, settings_of
from pipelines.recipe.messages import show
from pipelines.recipe.modules import NAMINGS, SUPPLIED, Naming
from pipelines.recipe.recipe import bundled_names
from pipelines.recipe.schema import SpikeInput
from pipelines.recipe.settings_from_signature import settings_model
from pipelines.recipe.yaml_reader import scan

KINDS = ("model", "dataset", "feature")  # the order in which a name is looked for
WORDS = {"model": "model", "dataset": "data set", "feature": "feature"}
# the input of a feature, in words
READS = {
    "waveform": "waveforms, mixed to one channel",
    "microphones": "waveforms of all microphones",
    "image": "images",
    "video": "frames of videos",
    "events": "events of a camera",
    "spikes": "spikes of a cochlea",
}


def kind_of(name: str) -> tuple[str, str] | None:
    """Return the kind and the name of a model, data set or feature, None where there is none.

    "model:NAME" looks among the models alone; `-` and `_` are the same.
    """
    prefix, colon, rest = name.rpartition(":")
    for kind in (prefix,) if colon else KINDS:
        if kind in KINDS:
            plain = {known.replace("-", "_"): known for known in registry.names(kind)}
            if (known := plain.get(rest.replace("-", "_"))) is not None:
                return kind, known
    return None


def refusal(name: str) -> RecipeError:
    """Return the error for a name that nothing has, with names near it."""
    known: dict[str, str] = {}
    # a recipe is near by its last part too: "s_cmrl" for "digits_av/s_cmrl"
    for bundled in bundled_names():
        known |= {bundled.rpartition("/")[2]: bundled, bundled: bundled}
    for kind in KINDS:
        known |= {module.replace("-", "_"): module for module in registry.names(kind)}
    plain = name.rpartition(":")[2].removesuffix(".yaml").replace("-", "_")
    near = dict.fromkeys(known[n] for n in difflib.get_close_matches(plain, known, n=3))
    hint = f"did you mean {' or '.join(near)}?" if near else "avsnn ls"
    return RecipeError(f"no recipe, model, data set or feature {show(name)}", hint)


def described(kind: str, name: str) -> dict[str, Any]:
    """Return the description of a model, data set or feature as data.

    settings: of each its path, default, range ("takes"), explanation ("what"), whether it is
    required, and whether the paper leaves it open ("assumed"). recipes: names of the bundled
    recipes that use it. Raises UsageError for an unknown name.
    """
    module = registry.load_module(kind, name)
    summary, *paragraphs = _prose(inspect.getsource(module))
    assumed = getattr(module, "ASSUMED", ())
    more = {"model": _of_model, "dataset": _of_dataset, "feature": _of_feature}[kind]
    return {
        "name": name,
        "kind": kind,
        "what": summary,
        "about": paragraphs,
        "section": " or ".join(naming.section for naming in _namings(kind, module)),
        **more(name, module),
        "settings": [row(setting, assumed) for setting in own_settings(kind, name)],
        "recipes": _recipes().get((kind, name), []),
    }


def row(setting: Setting, assumed: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return a setting as data. assumed: the settings that the paper does not give."""
    return {
        "setting": setting.path,
        "default": setting.default,
        "required": setting.required,
        "takes": setting.takes,
        "what": setting.text,
        "assumed": setting.path.split(".")[0] in assumed,
    }


def own_settings(kind: str, name: str) -> Iterator[Setting]:
    """List the settings that a module adds to those that its section always has."""
    module = registry.load_module(kind, name)
    naming = _namings(kind, module)[0]
    base = SpikeInput if getattr(module, "READS", "") == "spikes" else naming.base
    function = getattr(module, naming.function)
    model = settings_model(function, base, omit=SUPPLIED.get(kind, frozenset()))
    for setting in settings_of(model):
        if setting.path.split(".")[0] not in base.model_fields:
            yield setting


def _namings(kind: str, module: Any) -> list[Naming]:
    """Return the sections of a recipe that can name a module."""
    modality = getattr(module, "MODALITY", None)
    return [n for n in NAMINGS if n.kind == kind and modality in (None, n.section)]


def _prose(source: str) -> list[str]:
    """Return the paragraphs of a module's docstring, each on one line, without its examples."""
    text = ast.get_docstring(ast.parse(source), clean=False) or ""
    # the text of the docstring is not dedented: what is indented in it is an example
    lines = ["" if line[:1].isspace() else line for line in text.splitlines()]
    paragraphs = "\n".join(lines).strip().split("\n\n")
    return [" ".join(paragraph.split()) for paragraph in paragraphs if paragraph.strip()]


def _of_model(_name: str, module: Any) -> dict[str, Any]:
    return {"presets": to_jsonable_python(module.PRESETS), "assumed": list(module.ASSUMED)}


def _of_feature(_name: str, module: Any) -> dict[str, Any]:
    text = " ".join((inspect.getdoc(module.extract) or "").split())
    sources = re.search(r"Sources?: (.*)", text)
    return {
        "reads": READS[module.READS],
        "unit": module.UNIT,
        "source": sources[1] if sources else "",
    }


def _of_dataset(name: str, _module: Any) -> dict[str, Any]:
    manifest = manifests.load_manifest(name)
    return {
        "licence": manifest.licence,
        "citation": manifest.citation,
        "access": manifest.access,
        "by_hand": manifest.by_hand,
        "notes": manifest.notes,
        "classes": list(manifest.classes),
        "protocols": dict(manifest.protocols),
    }


@cache
def _recipes() -> dict[tuple[str, str], list[str]]:
    """Return the bundled recipes by the modules that they name."""
    # scanned, not loaded: loading each would check all its settings, and take seconds
    users: dict[tuple[str, str], list[str]] = {}
    for recipe in bundled_names():
        data = scan(registry.bundled("recipes") / f"{recipe}.yaml").data
        for naming in NAMINGS:
            if isinstance(section := data.get(naming.section), dict):
                users.setdefault((naming.kind, section.get(naming.key, "")), []).append(recipe)
    return users
