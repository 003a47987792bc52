"""Recipes as files: print one, copy one, validate several."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from pipelines import registry
from pipelines.disk import store
from pipelines.disk.paths import check_target, user_path
from pipelines.errors import MachineError, RecipeError
from pipelines.recipe import recipe as recipes
from pipelines.recipe.recipe import Recipe


def marked_yaml(recipe: Recipe) -> str:
    """Write a resolved recipe as YAML, with a comment at each value that no paper gives."""
    assumed = getattr(registry.load_module("model", recipe.model.name), "ASSUMED", ())
    lines, section = [], ""
    for line in recipe.to_yaml().splitlines():
        if line and not line[0].isspace():
            section = line.split(":")[0]
        key = line.strip().split(":")[0]
        # a key of `model` itself: a deeper one of the same name is another setting
        direct = line.startswith("  ") and not line.startswith("   ")
        marked = section == "model" and direct and key in assumed
        lines.append(f"{line}  # assumed: the paper does not give it" if marked else line)
    return "\n".join(lines)


def copy(name: str, destination: str, *, force: bool) -> Path:
    """Copy the text of a recipe, comments included; return the path of the copy.

    Raises UsageError for a file that exists, unless force, MachineError where it cannot write.
    """
    source, target = recipes.find(name), user_path(destination)
    if target.is_dir():
        target = target / source.name
    if target.suffix not in (".yaml", ".yml"):
        target = target.with_name(target.name + ".yaml")
    # no file is ours to replace here: whatever stands there was written by somebody
    check_target(target, store.home(), force=force, ours=lambda _: False)
    try:
        store.publish_text(target, source.read_text(encoding="utf-8"))
    except OSError as error:
        raise MachineError(
            f"cannot write {target}: {error.strerror}", "choose another place"
        ) from error
    return target


def validated(names: Sequence[str], settings: Sequence[str]) -> list[dict[str, str]]:
    """Return the faults of each recipe, "" for none."""
    rows = []
    for name in names:
        try:
            recipes.load_recipe(recipes.find(name), settings)
            rows.append({"recipe": name, "faults": ""})
        except RecipeError as error:  # the next recipe is checked all the same
            rows.append({"recipe": name, "faults": error.message})
    return rows


def joined(faults: Iterable[str]) -> str:
    """Join the faults of several recipes; those of --set, equal in all, stand once at the end."""
    lines = [line for fault in faults for line in fault.split("\n")]
    of_set = dict.fromkeys(line for line in lines if line.startswith("--set "))
    return "\n".join([*(line for line in lines if line not in of_set), *of_set])
