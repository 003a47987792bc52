"""Recipes as files: show, copy, validate."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from pipelines import registry
from pipelines.disk import store
from pipelines.disk.paths import check_target, user_path
from pipelines.errors import MachineError, RecipeError
from pipelines.recipe import recipe as recipes
from pipelines.recipe.recipe import Recipe


def marked_yaml(recipe: Recipe) -> str:
    """Write a resolved recipe as YAML in which assumed values are marked."""
    assumed = getattr(registry.load("model", recipe.model.name), "ASSUMED", ())
    lines, section = [], ""
    for line in recipe.to_yaml().splitlines():
        if line and not line[0].isspace():
            section = line.split(":")[0]
        key = line.strip().split(":")[0]
        direct = line.startswith("  ") and not line.startswith("   ")
        marked = section == "model" and direct and key in assumed
        lines.append(f"{line}  # assumed: the paper does not give it" if marked else line)
    return "\n".join(lines)


def copy(name: str, destination: str, *, force: bool) -> Path:
    """Copy a recipe's own text, comments included; returns where to.

    Raises UsageError rather than overwrite, MachineError where it cannot write.
    """
    source, target = recipes.find(name), user_path(destination)
    if target.is_dir():
        target = target / source.name
    if target.suffix not in (".yaml", ".yml"):
        target = target.with_name(target.name + ".yaml")
    check_target(target, store.home(), force=force, ours=lambda _: False)
    try:
        store.publish_text(target, source.read_text(encoding="utf-8"))
    except OSError as error:
        raise MachineError(
            f"cannot write {target}: {error.strerror}", "choose another place"
        ) from error
    return target


def validated(names: Sequence[str], settings: Sequence[str]) -> list[dict[str, str]]:
    """Return the faults of each recipe, "" for none; those of one do not hide another's."""
    found = []
    for name in names:
        try:
            recipes.load(recipes.find(name), settings)
            found.append({"recipe": name, "faults": ""})
        except RecipeError as error:
            found.append({"recipe": name, "faults": error.message})
    return found


def joined(faults: Iterable[str]) -> str:
    """Put the faults of several recipes together; a fault of --set is said once."""
    lines = [line for fault in faults for line in fault.split("\n")]
    said = dict.fromkeys(line for line in lines if line.startswith("--set "))
    return "\n".join([*(line for line in lines if line not in said), *said])
