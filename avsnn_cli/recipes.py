"""Recipes as files: show, copy, validate."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipelines import recipe as recipes
from pipelines import registry, store
from pipelines.errors import RecipeError, UsageError


def shown(name: str, settings: Sequence[str]) -> tuple[dict[str, Any], str]:
    """Return a recipe resolved, as data and as YAML in which assumed values are marked."""
    recipe = recipes.load(recipes.find(name), settings)
    assumed = getattr(registry.load("model", recipe.model.name), "ASSUMED", ())
    lines, section = [], ""
    for line in recipe.to_yaml().splitlines():
        if line and not line[0].isspace():
            section = line.split(":")[0]
        key = line.strip().split(":")[0]
        direct = line.startswith("  ") and not line.startswith("   ")
        marked = section == "model" and direct and key in assumed
        lines.append(f"{line}  # assumed: the paper does not give it" if marked else line)
    return recipe.resolved(), "\n".join(lines)


def copy(name: str, destination: str, *, force: bool) -> Path:
    """Copy a recipe's own text, comments included. Raises UsageError rather than overwrite."""
    source, target = recipes.find(name), Path(destination)
    if target.is_dir():
        target = target / source.name
    if target.suffix not in (".yaml", ".yml"):
        target = target.with_name(target.name + ".yaml")
    if target.exists() and not force:
        raise UsageError(f"{target} is there already", "choose another name, or --force")
    store.publish_text(target, source.read_text(encoding="utf-8"))
    return target


def faults(names: Sequence[str], settings: Sequence[str]) -> list[str]:
    """Return the faults of every recipe; those of one file do not hide another's."""
    found = []
    for name in names:
        try:
            recipes.load(recipes.find(name), settings)
        except RecipeError as error:
            found.append(error.message)
    return found
