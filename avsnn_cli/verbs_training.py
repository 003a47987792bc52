"""The verbs that take a recipe and train it: train, run."""

from avsnn_cli.layout import table
from avsnn_cli.options import (
    Device,
    DryRun,
    Fresh,
    From,
    Json,
    Quiet,
    RecipeName,
    Set,
    Verbose,
    overrides,
)
from avsnn_cli.render import TerminalReporter, emit


def train(
    recipe: RecipeName,
    set_: Set = None,
    device: Device = None,
    from_: From = None,
    fresh: Fresh = False,
    dry_run: DryRun = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    json: Json = False,
) -> None:
    """Train a recipe, or continue a training that was stopped."""
    from pipelines.recipe import recipe as recipes
    from pipelines.runs import train_stage
    from pipelines.runs.status import status

    plan = recipes.load_recipe(recipes.find(recipe), overrides(set_, device))
    if dry_run:
        rows = status(plan)
        return emit(rows, json, table(rows))
    with TerminalReporter(quiet=quiet, verbose=verbose) as reporter:
        folder = train_stage.train(plan, reporter, mirror=from_, fresh=fresh)
    return emit({"run": folder.name, "folder": str(folder)}, json, str(folder))


def run(
    recipe: RecipeName,
    set_: Set = None,
    device: Device = None,
    from_: From = None,
    fresh: Fresh = False,
    dry_run: DryRun = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    json: Json = False,
) -> None:
    """Do what is missing: prepare, train, evaluate, noise-eval."""
    from avsnn_cli import tables
    from pipelines.recipe import recipe as recipes
    from pipelines.runs import result_stages, train_stage
    from pipelines.runs.status import status

    plan = recipes.load_recipe(recipes.find(recipe), overrides(set_, device))
    if dry_run:
        rows = status(plan)
        return emit(rows, json, table(rows))
    with TerminalReporter(quiet=quiet, verbose=verbose) as reporter:
        folder = train_stage.train(plan, reporter, mirror=from_, fresh=fresh)
        evaluation = result_stages.evaluate(plan, folder, reporter)
        noise = result_stages.noise_eval_where_possible(plan, folder, plan.noise, reporter)
    text = tables.accuracy_table(evaluation)
    if noise is not None:
        text += f"\n\n{tables.noise_table(noise)}"
    return emit({**evaluation, "noise": noise, "folder": str(folder)}, json, text)
