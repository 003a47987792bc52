"""The stages that need a trained run: each makes one result, or reads the one that is there.

A result is made under the run's lock. Heavy imports are inside the functions, so that a hit ends at
once.
"""

import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pipelines import device as machine
from pipelines.disk import store
from pipelines.errors import DataError, UsageError
from pipelines.plan.data_plan import DataPlan
from pipelines.plan.plan import check_same_data, plan_data
from pipelines.plan.run_code import check_same_code
from pipelines.recipe.noise import EventNoise, Noise
from pipelines.recipe.recipe import Recipe
from pipelines.results import run_files, schemas
from pipelines.runs.prepare_stage import is_prepared, prepare
from pipelines.runs.reporter import Reporter
from pipelines.runs.train_stage import LOG

if TYPE_CHECKING:
    import torch

Result = TypeVar("Result")


def _ready(recipe: Recipe, run: Path, report: Reporter) -> DataPlan:
    """Return the plan of a trained run, after making its caches again if they are gone.

    Raises DataError if the run is not trained, or its code or data have changed since.
    """
    _check_trained(run)
    plan = plan_data(recipe)
    check_same_code(run, recipe, plan)
    check_same_data(run, plan)  # before hours of preparing
    plan = plan if is_prepared(plan) else prepare(recipe, report, plan=plan)
    from pipelines.cache.receipts import check_same_content

    # what the caches hold can be compared only once they are there
    check_same_content(run, plan)
    return plan


def _check_trained(run: Path) -> None:
    if not (run / "trained.json").exists():
        raise DataError(f"run {run.name} is not trained yet", "avsnn train RECIPE finishes it")


def _kept_or_made(
    run: Path, kept: Callable[[], Result | None], make: Callable[[], Result]
) -> Result:
    """Return the result that is kept, else make it under the run's lock.

    kept: reads the published result, None if there is none that fits. It is called before the
    lock, which a home without write permission cannot give, and again under it, for another process
    may have published meanwhile.
    """
    if (result := kept()) is not None:
        return result
    with store.lock(run, what=f"run {run.name}"):
        return result if (result := kept()) is not None else make()


def _device(recipe: Recipe) -> "torch.device":
    return machine.choose(recipe.runtime.device, threads=recipe.runtime.threads)


def evaluate(recipe: Recipe, run: Path, report: Reporter, *, force: bool = False) -> dict[str, Any]:
    """Evaluate a trained run on its test split, or read the result that is there."""

    def kept() -> dict[str, Any] | None:
        if force or not (run / "eval.json").exists():
            return None
        evaluation = run_files.read_result(run / "eval.json", schemas.Evaluation)
        report.say(f"evaluate: hit, {run.name}")
        return evaluation

    def make() -> dict[str, Any]:
        report.log_to(run / LOG)
        plan = _ready(recipe, run, report)
        from pipelines.evaluation.evaluate import evaluate as evaluate_network

        evaluation = evaluate_network(recipe, plan, run, _device(recipe))
        low, high = evaluation["wilson"]
        report.say(
            f"evaluate: test accuracy {evaluation['accuracy']:.2%} "
            f"(95 % {low:.2%} to {high:.2%}, n = {evaluation['n']})"
        )
        return evaluation

    return _kept_or_made(run, kept, make)


def noise_eval(
    recipe: Recipe, run: Path, noise: Noise | EventNoise, report: Reporter, *, force: bool = False
) -> dict[str, Any]:
    """Sweep the noise over a trained run, or read the result that is there."""
    from pipelines.results.noise_files import noise_result

    path = run / f"{noise_result(noise)}.json"

    def kept() -> dict[str, Any] | None:
        if force or not path.exists():
            return None
        kind = schemas.EventNoiseSweep if isinstance(noise, EventNoise) else schemas.NoiseSweep
        sweep = run_files.read_result(path, kind)
        # the file's name has nine digits of a level, the file all of them
        if sweep["noise"] != json.loads(noise.model_dump_json()):
            return None
        report.say(f"noise-eval: hit, {path.name}")
        return sweep

    def make() -> dict[str, Any]:
        report.log_to(run / LOG)
        plan = _ready(recipe, run, report)
        device = _device(recipe)
        if isinstance(noise, EventNoise):
            from pipelines.evaluation.event_noise_sweep import event_noise_sweep

            sweep = event_noise_sweep(recipe, plan, run, noise, device, report.advance)
        else:
            from pipelines.evaluation.noise_sweep import noise_sweep

            sweep = noise_sweep(recipe, plan, run, noise, device, report.advance)
        report.say(f"noise-eval: done, {path.with_suffix('.png')}")
        return sweep

    return _kept_or_made(run, kept, make)


def noise_eval_where_possible(
    recipe: Recipe, run: Path, noise: Noise, report: Reporter
) -> dict[str, Any] | None:
    """Sweep the noise; if no input can take noise, report why and return None."""
    try:
        return noise_eval(recipe, run, noise, report)
    except UsageError as error:
        report.say(f"noise-eval: left out: {error.message}")
        return None


def predict(
    recipe: Recipe, run: Path, audio: Path | None, visual: Path | None, report: Reporter
) -> dict[str, Any]:
    """Classify one clip with a trained run; see evaluation.single."""
    plan = _ready(recipe, run, report)
    from pipelines.evaluation.single import predict_files

    return predict_files(recipe, plan, run, _device(recipe), audio, visual)


def energy(
    recipe: Recipe, run: Path, samples: int, report: Reporter, *, force: bool = False
) -> dict[str, Any]:
    """Count a trained run's operations on test clips, or read the result that is there."""
    path = run / "energy.json"

    def kept() -> dict[str, Any] | None:
        if force or not path.exists():
            return None
        counted = run_files.read_result(path, schemas.Energy)
        if counted.get("asked") != samples:
            return None
        report.say(f"energy: hit, {run.name}")
        return counted

    def make() -> dict[str, Any]:
        plan = _ready(recipe, run, report)
        from pipelines.evaluation.energy_run import energy_of_run

        return energy_of_run(recipe, plan, run, _device(recipe), samples)

    return _kept_or_made(run, kept, make)


def explain(
    opened: Sequence[tuple[Recipe, Path]], report: Reporter, *, force: bool = False
) -> list[dict[str, Any]]:
    """Explain trained runs side by side, or read what is there; see evaluation.explain."""
    unique = list({run.name: (recipe, run) for recipe, run in opened}.values())
    runs = [run for _, run in unique]
    for run in runs:
        _check_trained(run)
    from pipelines.evaluation import explain as explaining

    def kept() -> list[dict[str, Any]] | None:
        if force or (results := explaining.kept(runs)) is None:
            return None
        report.say(f"explain: hit, {', '.join(run.name for run in runs)}")
        for result in results:
            explaining.report_left_out(result, report.say)
        return results

    # as in _kept_or_made, with the locks of all runs. A lock that is taken is an error and is not
    # waited for, so two processes with the runs in another order cannot block each other
    if (results := kept()) is None:
        with ExitStack() as locks:
            for run in runs:
                locks.enter_context(store.lock(run, what=f"run {run.name}"))
            if (results := kept()) is None:
                ready = [(recipe, _ready(recipe, run, report), run) for recipe, run in unique]
                device = _device(unique[0][0])
                results = explaining.explain(ready, device, report.say)
    return [
        {**result, "folder": str(run / explaining.FOLDER)}
        for result, run in zip(results, runs, strict=True)
    ]


def export(
    recipe: Recipe, run: Path, output: Path | None, report: Reporter, *, nir: bool, force: bool
) -> dict[str, Any]:
    """Export a trained run to a folder, or read the export that is there.

    output: None for the run's own export/. Raises UsageError if the folder exists and is not an
    export of this run.
    """
    from pipelines.evaluation.export_folder import kept

    folder = (output or run / "export").absolute()
    manifest = kept(folder, run, replace=force)
    if manifest is not None and not nir:
        report.say(f"export: hit, {run.name}")
        return {**manifest, "folder": str(folder)}
    with store.lock(run, what=f"run {run.name}"):
        if output is None:
            store.remove_leftovers(folder)
        # again, for its error: since the first look the folder may have become another run's
        kept(folder, run, replace=force)
        plan = _ready(recipe, run, report)
        from pipelines.evaluation.export import export_run

        machine.choose("cpu", threads=recipe.runtime.threads)
        manifest = export_run(recipe, plan, run, folder, nir=nir)
    report.say(f"export: done, {folder}")
    return {**manifest, "folder": str(folder)}
