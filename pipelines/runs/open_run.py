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
    """Find a run by folder, name or beginning of a name; None is the one trained last.

    settings: overrides such as "runtime.device=cpu". Raises DataError if there is none or several,
    UsageError with the runs of a recipe for the name of one.
    """
    runs = store.home() / "runs"
    if name is None:
        trained = run_order.trained()
        if not trained:
            raise DataError("no trained run yet", "avsnn train RECIPE makes one")
        folder = trained[-1]
    else:
        given = expanded(name)
        matches = (
            [given]
            if is_file(given / "recipe.yaml")
            else [
                path
                for path in sorted(runs.glob("*/"))
                if Path(name).name
                and path.name.startswith(Path(name).name)
                and (path / "recipe.yaml").exists()
            ]
        )
        if not matches:
            _refuse_lost(runs, Path(name).name)
            refuse_recipe(name)
            raise DataError(f"no run {show(name)}", "avsnn ls runs")
        if len(matches) > 1:
            found = ", ".join(path.name for path in matches)
            raise DataError(f"several runs begin with {show(name)}: {found}", "name one of them")
        folder = matches[0]
    recipe = recipes.load(folder / "recipe.yaml", settings)
    environment = run_files.read(folder / "env.json", schemas.Environment)
    return replace(recipe, name=environment["name"]), folder


def _refuse_lost(runs: Path, beginning: str) -> None:
    """Raise DataError for a trained run whose recipe.yaml is gone."""
    for path in sorted(runs.glob("*/trained.json")) if beginning else []:
        if path.parent.name.startswith(beginning):
            raise DataError(
                f"run {path.parent.name} has lost its recipe.yaml",
                "avsnn train RECIPE, with the recipe it was trained with, writes it again",
            )
