"""The stages that read a trained run: each publishes one result, or reads the one that is there.

Each works under the run's lock. Heavy imports happen inside, so that a hit answers at once.
"""

import json
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

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


def _ready(recipe: Recipe, run: Path, report: Reporter) -> DataPlan:
    """Return the plan of a trained run, its caches made again if they are gone.

    Raises DataError if it is not trained, or its code or data are no longer those of the training.
    """
    _check_trained(run)
    plan = plan_data(recipe)
    check_same_code(run, recipe, plan)
    check_same_data(run, plan)
    plan = plan if is_prepared(plan) else prepare(recipe, report, plan=plan)
    from pipelines.cache.receipts import check_same_content

    check_same_content(run, plan)
    return plan


def _check_trained(run: Path) -> None:
    if not (run / "trained.json").exists():
        raise DataError(f"run {run.name} is not trained yet", "avsnn train RECIPE finishes it")


def evaluate(recipe: Recipe, run: Path, report: Reporter, *, force: bool = False) -> dict[str, Any]:
    """Evaluate a trained run on its test split, or read the result that is there."""

    def kept() -> dict[str, Any] | None:
        if force or not (run / "eval.json").exists():
            return None
        found = run_files.read(run / "eval.json", schemas.Evaluation)
        report.say(f"evaluate: hit, {run.name}")
        return found

    if (hit := kept()) is not None:
        return hit  # also in a home that one may only read
    with store.lock(run, what=f"run {run.name}"):
        if (hit := kept()) is not None:  # another process was faster
            return hit
        report.log_to(run / LOG)
        plan = _ready(recipe, run, report)
        from pipelines.evaluation.evaluate import evaluate as evaluate_network

        device = machine.choose(recipe.runtime.device, threads=recipe.runtime.threads)
        result = evaluate_network(recipe, plan, run, device)
    low, high = result["wilson"]
    report.say(
        f"evaluate: test accuracy {result['accuracy']:.2%} "
        f"(95 % {low:.2%} to {high:.2%}, n = {result['n']})"
    )
    return result


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
        found = run_files.read(path, kind)
        if found["noise"] != json.loads(noise.model_dump_json()):
            return None
        report.say(f"noise-eval: hit, {path.name}")
        return found

    if (hit := kept()) is not None:
        return hit
    with store.lock(run, what=f"run {run.name}"):
        if (hit := kept()) is not None:
            return hit
        report.log_to(run / LOG)
        plan = _ready(recipe, run, report)
        device = machine.choose(recipe.runtime.device, threads=recipe.runtime.threads)
        if isinstance(noise, EventNoise):
            from pipelines.evaluation.event_noise_sweep import event_noise_sweep

            result = event_noise_sweep(recipe, plan, run, noise, device, report.advance)
        else:
            from pipelines.evaluation.noise_sweep import noise_sweep

            result = noise_sweep(recipe, plan, run, noise, device, report.advance)
    report.say(f"noise-eval: done, {path.with_suffix('.png')}")
    return result


def noise_eval_where_possible(
    recipe: Recipe, run: Path, noise: Noise, report: Reporter
) -> dict[str, Any] | None:
    """Sweep the noise, or say why there is no input to put noise on and return None."""
    try:
        return noise_eval(recipe, run, noise, report)
    except UsageError as error:
        report.say(f"noise-eval: left out: {error.message}")
        return None


def predict(
    recipe: Recipe, run: Path, audio: Path | None, visual: Path | None, report: Reporter
) -> dict[str, Any]:
    """Say what a trained run makes of one clip; see evaluation.single."""
    plan = _ready(recipe, run, report)
    from pipelines.evaluation.single import predict_files

    device = machine.choose(recipe.runtime.device, threads=recipe.runtime.threads)
    return predict_files(recipe, plan, run, device, audio, visual)


def energy(
    recipe: Recipe, run: Path, samples: int, report: Reporter, *, force: bool = False
) -> dict[str, Any]:
    """Count a trained run's operations, or read the result that is there."""
    path = run / "energy.json"

    def kept() -> dict[str, Any] | None:
        if force or not path.exists():
            return None
        found = run_files.read(path, schemas.Energy)
        if found.get("asked") != samples:
            return None
        report.say(f"energy: hit, {run.name}")
        return found

    if (hit := kept()) is not None:
        return hit
    with store.lock(run, what=f"run {run.name}"):
        if (hit := kept()) is not None:
            return hit
        plan = _ready(recipe, run, report)
        from pipelines.evaluation.energy_run import energy_of_run

        device = machine.choose(recipe.runtime.device, threads=recipe.runtime.threads)
        return energy_of_run(recipe, plan, run, device, samples)


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
        if force or (found := explaining.kept(runs)) is None:
            return None
        report.say(f"explain: hit, {', '.join(run.name for run in runs)}")
        for result in found:
            explaining.report_left_out(result, report.say)
        return found

    if (found := kept()) is None:
        with ExitStack() as locks:
            for run in runs:
                locks.enter_context(store.lock(run, what=f"run {run.name}"))
            if (found := kept()) is None:
                ready = [(recipe, _ready(recipe, run, report), run) for recipe, run in unique]
                runtime = unique[0][0].runtime
                device = machine.choose(runtime.device, threads=runtime.threads)
                found = explaining.explain(ready, device, report.say)
    return [
        {**result, "folder": str(run / explaining.FOLDER)}
        for result, run in zip(found, runs, strict=True)
    ]


def export(
    recipe: Recipe, run: Path, output: Path | None, report: Reporter, *, nir: bool, force: bool
) -> dict[str, Any]:
    """Export a trained run to a folder, its own export/ if None, or read what is there.

    Raises UsageError for a folder that is there and is not an export of this run.
    """
    from pipelines.evaluation.export_folder import kept

    folder = (output or run / "export").absolute()
    said = kept(folder, run, replace=force)
    if said is not None and not nir:
        report.say(f"export: hit, {run.name}")
        return {**said, "folder": str(folder)}
    with store.lock(run, what=f"run {run.name}"):
        if output is None:
            store.remove_leftovers(folder)
        kept(folder, run, replace=force)  # it may be another's by now
        plan = _ready(recipe, run, report)
        from pipelines.evaluation.export import export_run

        machine.choose("cpu", threads=recipe.runtime.threads)
        said = export_run(recipe, plan, run, folder, nir=nir)
    report.say(f"export: done, {folder}")
    return {**said, "folder": str(folder)}
