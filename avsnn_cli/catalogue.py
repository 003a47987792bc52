"""What a model, data set or feature is, in words: from its docstring, settings and manifest."""

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
# how an input comes to a feature
READS = {
    "waveform": "waveforms, mixed to one channel", "microphones": "waveforms of all microphones",
    "image": "images", "video": "frames of videos", "events": "events of a camera",
    "spikes": "spikes of a cochlea",
}  # fmt: skip


def kind_of(name: str) -> tuple[str, str] | None:
    """Return the kind and the name of a model, data set or feature, None where there is none.

    "model:NAME" looks among the models alone; `-` and `_` are one.
    """
    prefix, colon, rest = name.rpartition(":")
    for kind in (prefix,) if colon else KINDS:
        if kind in KINDS:
            plain = {known.replace("-", "_"): known for known in registry.names(kind)}
            if (known := plain.get(rest.replace("-", "_"))) is not None:
                return kind, known
    return None


def refusal(name: str) -> RecipeError:
    """Return the error for a name that is neither a recipe nor anything else, with near ones."""
    known: dict[str, str] = {}
    for bundled in bundled_names():
        known |= {bundled.rpartition("/")[2]: bundled, bundled: bundled}
    for kind in KINDS:
        known |= {other.replace("-", "_"): other for other in registry.names(kind)}
    plain = name.rpartition(":")[2].removesuffix(".yaml").replace("-", "_")
    near = dict.fromkeys(known[n] for n in difflib.get_close_matches(plain, known, n=3))
    hint = f"did you mean {' or '.join(near)}?" if near else "avsnn ls"
    return RecipeError(f"no recipe, model, data set or feature {show(name)}", hint)


def described(kind: str, name: str) -> dict[str, Any]:
    """Return what a model, data set or feature is: its text, its settings, what else is known.

    settings: {"setting", "default", "required", "takes", "what", "assumed"} each. recipes: the
    bundled ones that name it. Raises UsageError for a name that is not known.
    """
    module = registry.load(kind, name)
    summary, *paragraphs = _prose(inspect.getsource(module))
    assumed = getattr(module, "ASSUMED", ())
    more = {"model": _of_model, "dataset": _of_dataset, "feature": _of_feature}[kind]
    return {
        "name": name, "kind": kind, "what": summary, "about": paragraphs,
        "section": " or ".join(naming.section for naming in _namings(kind, module)),
        **more(name, module),
        "settings": [row(setting, assumed) for setting in own_settings(kind, name)],
        "recipes": _recipes().get((kind, name), []),
    }  # fmt: skip


def row(setting: Setting, assumed: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return a setting as data; assumed: settings that the paper does not give."""
    return {
        "setting": setting.path, "default": setting.default, "required": setting.required,
        "takes": setting.takes, "what": setting.text,
        "assumed": setting.path.split(".")[0] in assumed,
    }  # fmt: skip


def own_settings(kind: str, name: str) -> Iterator[Setting]:
    """List the settings that a module adds to those which its section always has."""
    module = registry.load(kind, name)
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
    lines = ["" if line[:1].isspace() else line for line in text.splitlines()]
    paragraphs = "\n".join(lines).strip().split("\n\n")
    return [" ".join(paragraph.split()) for paragraph in paragraphs if paragraph.strip()]


def _of_model(name: str, module: Any) -> dict[str, Any]:  # noqa: ARG001
    return {"presets": to_jsonable_python(module.PRESETS), "assumed": list(module.ASSUMED)}


def _of_feature(name: str, module: Any) -> dict[str, Any]:  # noqa: ARG001
    text = " ".join((inspect.getdoc(module.extract) or "").split())
    sources = re.search(r"Sources?: (.*)", text)
    return {
        "reads": READS[module.READS], "unit": module.UNIT,
        "source": sources[1] if sources else "",
    }  # fmt: skip


def _of_dataset(name: str, module: Any) -> dict[str, Any]:  # noqa: ARG001
    manifest = manifests.load(name)
    return {
        "licence": manifest.licence, "citation": manifest.citation, "access": manifest.access,
        "by_hand": manifest.by_hand, "notes": manifest.notes,
        "classes": list(manifest.classes), "protocols": dict(manifest.protocols),
    }  # fmt: skip


@cache
def _recipes() -> dict[tuple[str, str], list[str]]:
    """Return the bundled recipes by the modules that they name."""
    users: dict[tuple[str, str], list[str]] = {}
    for recipe in bundled_names():
        data = scan(registry.bundled("recipes") / f"{recipe}.yaml").data
        for naming in NAMINGS:
            if isinstance(section := data.get(naming.section), dict):
                users.setdefault((naming.kind, section.get(naming.key, "")), []).append(recipe)
    return users
