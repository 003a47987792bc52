"""List the runs of a recipe, for an error where a recipe is named and a run is expected."""

import re
from contextlib import suppress
from pathlib import Path

from pipelines.disk import store
from pipelines.errors import RecipeError, UsageError
from pipelines.recipe import recipe as recipes
from pipelines.recipe.messages import show

SHOWN = 5


def refuse_recipe(name: str) -> None:
    """Raise UsageError, with the recipe's runs, if the name is that of a recipe."""
    try:
        path = recipes.find(name)
    except RecipeError:
        return
    runs = _of_file(path)
    if not runs:
        raise UsageError(
            f"{show(name)} is a recipe, and this takes a run: it has none yet",
            f"avsnn train {name} makes one",
        )
    names = [
        run.name + ("" if (run / "trained.json").exists() else " (not trained)")
        for run in runs[:SHOWN]
    ]
    more = f" and {len(runs) - SHOWN} more" if len(runs) > SHOWN else ""
    raise UsageError(
        f"{show(name)} is a recipe, and this takes a run; its runs, the newest first: "
        f"{', '.join(names)}{more}",
        "name one of them, or none for the run trained last",
    )


def _of_file(path: Path) -> list[Path]:
    """Return the runs whose names begin with that of a recipe's file, the newest first."""
    if path.name == "recipe.yaml" and (path.parent / "env.json").exists():
        return [path.parent]  # the copy that a run keeps
    run_name = re.compile(rf"{re.escape(recipes.name_of(path).replace('/', '-'))}-[0-9a-f]+")
    runs = (store.home() / "runs").glob("*/recipe.yaml")
    folders = [file.parent for file in runs if run_name.fullmatch(file.parent.name)]
    return sorted(folders, key=lambda run: (-_modified_s(run), run.name))


def _modified_s(run: Path) -> float:
    """Return when a run was trained, else when it was begun, in s since 1970; 0 if it is gone."""
    for name in ("trained.json", "recipe.yaml"):
        with suppress(OSError):
            return (run / name).stat().st_mtime
    return 0.0
