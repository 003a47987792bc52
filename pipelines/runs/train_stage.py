"""The stage `train`: train a recipe in its run's folder, or continue, under the run's lock."""

import hashlib
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines import device as machine
from pipelines.cache import claims
from pipelines.disk import store
from pipelines.errors import DataError, MachineError
from pipelines.plan.data_plan import DataPlan
from pipelines.plan.plan import check_same_data, plan_data, run_folder, trained_anew
from pipelines.plan.run_code import code_of_run
from pipelines.recipe.recipe import Recipe
from pipelines.results import run_files, schemas
from pipelines.runs.prepare_stage import prepare
from pipelines.runs.reporter import Reporter

if TYPE_CHECKING:
    import torch

LOG = "run.log"


def train(
    recipe: Recipe, report: Reporter, *, mirror: Path | None = None, fresh: bool = False
) -> Path:
    """Train a recipe, or continue where training stopped; returns the run's folder.

    fresh: train from the beginning; an existing run stays until the new one is complete. Raises
    LockedError if another process trains the same recipe.
    """
    plan = plan_data(recipe)
    run = run_folder(recipe, plan)
    if not fresh and _is_trained(run, recipe, report):
        return run  # before the lock, which a home without write permission cannot give
    with store.lock(run, what=f"run {run.name}"):
        if not fresh and _is_trained(run, recipe, report):
            return run  # another process has trained it meanwhile
        from pipelines.runs.status import why_not_trained

        if reason := why_not_trained(recipe, run, plan):
            report.say(f"train: {reason}")
        device = machine.choose(
            recipe.runtime.device,
            threads=recipe.runtime.threads,
            deterministic=recipe.train.deterministic,
        )
        # a run is trained anew in another folder, which replaces the old one when it is complete;
        # one that was interrupted there is continued there, unless fresh
        anew = trained_anew(run)
        work = anew if anew.exists() or (fresh and run.exists()) else run
        # a run that continues has the weights it started from in its checkpoint
        if fresh or not any(work.glob("checkpoint-*")):
            for name in recipe.train.start_from:  # before hours of preparing
                if not (store.home() / "runs" / name / "trained.json").exists():
                    raise DataError(f"train.start_from: no trained run {name!r}", "avsnn ls runs")
        if fresh:
            store.remove(anew)
        if not (work / "trained.json").exists():
            report.log_to(work / LOG)
            _train(recipe, plan, work, device, report, mirror)
        if work != run:
            store.publish_folder(work, run)
            with suppress(OSError):  # not empty: other runs are being trained anew
                work.parent.rmdir()
            report.log_to(run / LOG)
            report.say(f"train: {run.name} is the one trained anew")
    return run


def _train(
    recipe: Recipe,
    plan: DataPlan,
    run: Path,
    device: "torch.device",
    report: Reporter,
    mirror: Path | None,
) -> None:
    """Prepare and train in a folder, or continue there."""
    # before hours of preparing, in which the user may edit the code: what is loaded now is the code
    # that the key was computed from
    from pipelines.training.loop import train as train_network

    # before the caches are made, so that no `cache prune --unused` removes one in between
    claims.lay(run, [cache.folder.name for cache in plan.caches.values()], report.say)
    prepare(recipe, report, mirror=mirror, plan=plan)
    _describe(run, recipe, plan, machine.description(device))
    claims.settle(run, report.say)
    selected = train_network(recipe, plan, run, device, report)
    report.say(
        f"train: done, epoch {selected['epoch']} of {recipe.train.epochs} selected "
        f"({recipe.train.select}), validation {selected['validation_accuracy']:.2%}"
    )


def _is_trained(run: Path, recipe: Recipe, report: Reporter) -> bool:
    """Check whether the run is trained. A recipe.yaml that the run has lost is written again."""
    if trained_anew(run).exists() or not (run / "trained.json").exists():
        return False
    run_files.read_result(run / "trained.json", schemas.Trained)
    if not (run / "recipe.yaml").exists():
        _bring_back(run, recipe, report)
    report.say(f"train: hit, {run.name}")
    return True


def _bring_back(run: Path, recipe: Recipe, report: Reporter) -> None:
    """Write the recipe.yaml that a run has lost, if this recipe is the same to the byte."""
    lost = f"train: {run.name} has lost its recipe.yaml"
    written_sha256 = run_files.read_result(run / "env.json", schemas.Environment).get(
        "recipe_sha256"
    )
    text = recipe.to_yaml()
    # sections that are in no key may differ: another text would break the chain of seals
    if written_sha256 not in (None, hashlib.sha256(text.encode()).hexdigest()):
        report.say(f"{lost}, and was trained with other noise, published or runtime settings")
        return
    try:
        store.publish_text(run / "recipe.yaml", text)
        report.say(f"{lost}: written again")
    except MachineError as error:  # a home without write permission
        report.say(f"{lost}: {error.message}")


def _describe(run: Path, recipe: Recipe, plan: DataPlan, description: dict[str, Any]) -> None:
    """Write env.json and, if it is not there, recipe.yaml of a run that starts or continues.

    Raises DataError if the run was started with other data than there are now.
    """
    from pipelines.cache.receipts import cache_receipt, check_same_content

    if (run / "env.json").exists():
        check_same_data(run, plan)
        check_same_content(run, plan)
    if not (run / "recipe.yaml").exists():
        store.publish_text(run / "recipe.yaml", recipe.to_yaml())
    receipts = [cache_receipt(cache) for cache in plan.caches.values()]
    environment = {
        "name": recipe.name,
        "run": run.name,
        "recipe_sha256": store.sha256(run / "recipe.yaml"),
        "caches": [cache.folder.name for cache in plan.caches.values()],
        "classes": list(plan.manifest.classes),
        "clips_sha256": receipts[0].clips_sha256,
        "cache_contents": [receipt.content_sha256 for receipt in receipts],
        "code": code_of_run(recipe, plan),
        "versions": store.versions(),
        "machine": description,
    }
    run_files.publish(run / "env.json", schemas.Environment, environment)
