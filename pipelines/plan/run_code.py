"""The code of a run: what its key depends on, and what its weights depend on after training."""

from pathlib import Path
from typing import TYPE_CHECKING

from pipelines import registry
from pipelines.errors import DataError
from pipelines.plan.source_code import changed, code_of, shortly
from pipelines.recipe.recipe import Recipe
from pipelines.results import run_files, schemas

if TYPE_CHECKING:
    from pipelines.plan.data_plan import DataPlan

# besides the model: the code that trains weights, and the part of it that uses them afterwards
TRAINING = "pipelines.training.loop"
USING = tuple(f"pipelines.training.{name}" for name in ("network", "inputs", "infer"))


def code_of_run(recipe: Recipe, data: "DataPlan") -> dict[str, str]:
    """Return the code that trains a run of this recipe, by file: network, training, data."""
    return code_in_use(recipe, data) | code_of(TRAINING)


def code_in_use(recipe: Recipe, data: "DataPlan") -> dict[str, str]:
    """Return the part of that code on which trained weights still depend: network, inputs."""
    caches: dict[str, str] = {}
    for cache in data.caches.values():
        caches |= cache.made_from["code"]
    return caches | code_of(registry.module_name("model", recipe.model.name), *USING)


def other_code(run: Path, recipe: Recipe, data: "DataPlan") -> str:
    """Describe how the code of a run's weights has changed since its training; "" if it has not.

    Raises DataError if the run's env.json is not readable.
    """
    then = run_files.read_result(run / "env.json", schemas.Environment).get("code")
    if then is None:
        return "an earlier version of avsnn, which kept no record of its code"
    now = code_in_use(recipe, data)
    # a file that only env.json has is of training, or was imported by a file that has changed
    files = changed({path: then.get(path, "") for path in now}, now)
    return f"other code ({shortly(files)})" if files else ""


def check_same_code(run: Path, recipe: Recipe, data: "DataPlan") -> None:
    """Raise DataError if the code of a run's weights has changed since its training.

    Weights of one network in another give a result that belongs to neither.
    """
    if other := other_code(run, recipe, data):
        raise DataError(
            f"run {run.name} was trained with {other}: its weights cannot be used with the code "
            "now",
            "train the recipe again, which makes another run, or bring back the code or the "
            "version of avsnn; the results that are there can still be read",
        )
