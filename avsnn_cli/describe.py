"""`avsnn show`: a recipe explained, or a model, data set or feature described, at 80 columns."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from avsnn_cli import catalogue
from avsnn_cli.layout import COLUMNS
from pipelines import registry
from pipelines.errors import RecipeError, UsageError
from pipelines.recipe import recipe as recipes
from pipelines.recipe.described_settings import Setting, settings_of
from pipelines.recipe.recipe import Recipe
from pipelines.recipe.schema import RecipeFile
from pipelines.recipe.yaml_reader import dump

INDENT = 2
SHOWN_RECIPES = 8
ASSUMED = "Assumed: the paper does not give it."


def shown(name: str, settings: Sequence[str], *, explain: bool) -> tuple[Any, str]:
    """Return the description that `avsnn show` prints, as data and as text.

    A recipe comes first, by its file or bundled name, then a model, a data set and a feature;
    "model:NAME" and so on restrict it to one kind. explain: put a comment before each value of a
    recipe. Raises RecipeError for an unknown name, UsageError for settings of what is no recipe.
    """
    thing = catalogue.kind_of(name)
    try:
        path = recipes.find(name)
    except RecipeError as error:
        if thing is None:
            raise catalogue.refusal(name) from error
        if settings:
            kind = catalogue.WORDS[thing[0]]
            message = f"--set {settings[0]}: {name} is a {kind}"
            raise UsageError(message, "--set changes a recipe; show one") from error
        data = catalogue.described(*thing)
        return data, as_text(data)
    recipe = recipes.load_recipe(path, settings)
    if explain:
        return explained_rows(recipe), explained_yaml(recipe)
    from avsnn_cli.recipes import marked_yaml

    return recipe.resolved(), marked_yaml(recipe)


def explained_rows(recipe: Recipe) -> list[dict[str, Any]]:
    """Return each setting of a recipe with value, default, range and explanation."""
    assumed = _assumed(recipe)
    return [
        {
            "setting": s.path,
            "value": s.value,
            "default": s.default,
            "required": s.required,
            "takes": s.takes,
            "what": s.text,
            "assumed": s.path in assumed,
        }
        for s in _settings(recipe)
    ]


def explained_yaml(recipe: Recipe) -> str:
    """Write a resolved recipe with a comment before each key; loading it gives the same recipe."""
    settings = {setting.path: setting for setting in _settings(recipe)}
    return "\n".join(_lines(recipe.resolved(), settings, _assumed(recipe), ""))


def _lines(
    values: Mapping[str, Any], settings: Mapping[str, Setting], assumed: set[str], before: str
) -> Iterable[str]:
    indent = " " * INDENT * before.count(".")
    for key, value in values.items():
        path = f"{before}{key}"
        # an empty line before each section, none between the two short values at the top
        if not before and path not in ("version", "seed"):
            yield ""
        text = settings[path].explained()
        yield from _wrapped(f"{text} {ASSUMED}" if path in assumed else text, f"{indent}# ")
        if isinstance(value, Mapping) and value:
            yield f"{indent}{key}:"
            yield from _lines(value, settings, assumed, f"{path}.")
        else:
            yield from textwrap.indent(dump({key: value}), indent).splitlines()


def _settings(recipe: Recipe) -> Iterable[Setting]:
    """List all settings of a recipe, in the order of its sections."""
    resolved = recipe.resolved()
    for top in settings_of(RecipeFile):
        name = top.path
        if "." in name or name not in resolved:
            continue
        # the settings of the module that this recipe names, not those of the section's base class
        section = getattr(recipe, name)
        yield Setting(**{**vars(top), "value": resolved[name]})
        if isinstance(resolved[name], Mapping):
            yield from settings_of(type(section), section, f"{name}.")


def _assumed(recipe: Recipe) -> set[str]:
    names = getattr(registry.load_module("model", recipe.model.name), "ASSUMED", ())
    return {f"model.{name}" for name in names}


def as_text(thing: Mapping[str, Any]) -> str:
    """Lay out a description that catalogue.described returns."""
    lines = [f"{thing['name']}: a {catalogue.WORDS[thing['kind']]}"]
    for paragraph in (thing["what"], *thing["about"]):
        lines += ["", *_wrapped(paragraph, "  ")]
    for title in ("reads", "unit", "source", "licence", "citation", "access", "by_hand", "notes"):
        if thing.get(title):
            lines += ["", title.replace("_", " "), *_wrapped(thing[title], "  ")]
    if thing.get("classes"):
        lines += ["", f"classes ({len(thing['classes'])})"]
        lines += _wrapped(", ".join(thing["classes"]), "  ")
    for title in ("protocols", "presets"):
        if thing.get(title):
            lines += ["", title, *_named(thing[title])]
    if thing["recipes"]:
        lines += ["", "recipes", *_wrapped(_first(thing["recipes"]), "  ")]
    lines += ["", f"settings (section {thing['section']} of a recipe)"]
    for row in thing["settings"]:
        lines += _setting(row)
    return "\n".join(lines if thing["settings"] else [*lines, "  none of its own"])


def _named(texts: Mapping[str, Any]) -> Iterable[str]:
    for name, text in texts.items():
        one_line = text if isinstance(text, str) else _flow(text)
        yield from _wrapped(f"{name}: {one_line}", "  ", "      ")


def _flow(values: Mapping[str, Any]) -> str:
    """Write the values of a preset on one line."""
    flat = recipes.by_path(values)
    return ", ".join(dump({k: v}).strip() for k, v in flat.items()) or "the defaults below"


def _setting(row: Mapping[str, Any]) -> Iterable[str]:
    indent = " " * INDENT * (1 + row["setting"].count("."))
    name = row["setting"].rpartition(".")[2]
    setting = Setting(row["setting"], row["takes"], row["what"])
    if row["required"]:
        yield f"{indent}{name}: (must be given)"
    elif isinstance(row["default"], Mapping):
        yield f"{indent}{name}:"
    else:
        yield f"{indent}{dump({name: row['default']}).strip()}"
    explanation = f"{setting.explained()} {ASSUMED}" if row["assumed"] else setting.explained()
    yield from _wrapped(explanation, f"{indent}    ")


def _first(names: Sequence[str]) -> str:
    more = len(names) - SHOWN_RECIPES
    return ", ".join(names[:SHOWN_RECIPES]) + (f" and {more} more" if more > 0 else "")


def _wrapped(text: str, first: str, further: str | None = None) -> list[str]:
    """Wrap a text. first, further: what its lines begin with; further: None for the same."""
    return textwrap.wrap(
        text,
        COLUMNS,
        initial_indent=first,
        subsequent_indent=first if further is None else further,
        # names and paths stay whole, to be copied
        break_long_words=False,
        break_on_hyphens=False,
    )
