"""Find a run by its folder, its name or the beginning of its name."""

from dataclasses import replace
from pathlib import Path

from pipelines.disk import store
from pipelines.disk.paths import expanded, is_file
from pipelines.errors import DataError
from pipelines.recipe import recipe as recipes
from pipelines.recipe.messages import show
from pipelines.recipe.recipe import Recipe
from pipelines.results import run_files, run_order, schemas
from pipelines.runs.recipe_runs import refuse_recipe


def open_run(name: str | None, settings: tuple[str, ...] = ()) -> tuple[Recipe, Path]:
    """Return the recipe and the folder of a run, by its folder, name or beginning of its name.

    name: None for the run trained last. settings: overrides such as "runtime.device=cpu". Raises
    DataError if no run or several match, UsageError if the name is a recipe's.
    """
    if name is None:
        trained = run_order.trained()
        if not trained:
            raise DataError("no trained run yet", "avsnn train RECIPE makes one")
        folder = trained[-1]
    else:
        path = expanded(name)
        folder = path if is_file(path / "recipe.yaml") else _of_beginning(name)
    # every run's file is called recipe.yaml: the recipe's own name is in env.json
    recipe = recipes.load_recipe(folder / "recipe.yaml", settings)
    environment = run_files.read_result(folder / "env.json", schemas.Environment)
    return replace(recipe, name=environment["name"]), folder


def _of_beginning(name: str) -> Path:
    """Return the one run of the home whose name begins with the last part of `name`."""
    runs, beginning = store.home() / "runs", Path(name).name
    folders = sorted(runs.glob("*/")) if beginning else []
    matches = [
        folder
        for folder in folders
        if folder.name.startswith(beginning) and (folder / "recipe.yaml").exists()
    ]
    if not matches:
        _refuse_lost(runs, beginning)
        refuse_recipe(name)
        raise DataError(f"no run {show(name)}", "avsnn ls runs")
    if len(matches) > 1:
        names = ", ".join(folder.name for folder in matches)
        raise DataError(f"several runs begin with {show(name)}: {names}", "name one of them")
    return matches[0]


def _refuse_lost(runs: Path, beginning: str) -> None:
    """Raise DataError if the name begins that of a trained run whose recipe.yaml is gone."""
    for path in sorted(runs.glob("*/trained.json")) if beginning else []:
        if path.parent.name.startswith(beginning):
            raise DataError(
                f"run {path.parent.name} has lost its recipe.yaml",
                "avsnn train RECIPE, with the recipe it was trained with, writes it again",
            )
