"""The stages as the command line calls them: each does what is missing, under its lock.

prepare, train, evaluate and noise_eval each read one artefact and publish one; `run` does them in
order. Heavy imports happen inside, so that a stage with nothing to do answers at once.
"""

import hashlib
import json
import os.path
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pipelines import device as machine
from pipelines.cache import claims
from pipelines.disk import store
from pipelines.download.acquire import acquire
from pipelines.errors import DataError, MachineError, UsageError
from pipelines.plan.plan import (
    DataPlan,
    check_same_data,
    check_unchanged,
    plan_data,
    run_folder,
    trained_anew,
)
from pipelines.plan.run_code import check_same_code, code_of_run
from pipelines.recipe import recipe as recipes
from pipelines.recipe.messages import show
from pipelines.recipe.noise import Noise
from pipelines.recipe.recipe import Recipe
from pipelines.results import run_files

if TYPE_CHECKING:
    import torch
    from torch import Tensor

LOG = "run.log"


class Reporter(Protocol):
    """Who is told what happens: a terminal, a log, a test."""

    def say(self, text: str) -> None:
        """A line for people."""

    def log_to(self, path: Path) -> None:
        """Keep what is said from now on in this file too."""

    def advance(self, what: str, done: int, total: int | None) -> None:
        """Progress of something counted."""

    def step(self, epoch: int, step: int, steps: int, loss: "Tensor") -> None:
        """One training step is done."""

    def epoch(self, record: dict[str, Any]) -> None:
        """One epoch is done and saved."""


def is_prepared(plan: DataPlan) -> bool:
    """Say whether clips and caches of a plan are there. Imports no torch."""
    from pipelines.cache.receipts import are_clips_whole, check_built_for, is_whole

    if not are_clips_whole(plan.clips):
        return False
    if not all(is_whole(cache) for cache in plan.caches.values()):
        return False
    check_built_for(plan)
    return True


def prepare(
    recipe: Recipe, report: Reporter, *, mirror: Path | None = None, force: bool = False,
    tell_classes: bool = True, plan: DataPlan | None = None,
) -> DataPlan:  # fmt: skip
    """Make a recipe's clips and caches; returns the plan that says where they are.

    force: build clips and caches again, even damaged ones, once sources and device are there.
    tell_classes: end with the classes and their counts by split, where anything was made. plan:
    the recipe's, where it is known. Raises DataError if files of the user's change meanwhile.
    """
    plan = plan or plan_data(recipe)
    from pipelines.cache import class_counts, excluded_share

    if not force and is_prepared(plan):
        excluded_share.check_prepared(plan)
        class_counts.of_plan(plan)
        report.say(f"prepare: hit, {_names(plan)}")
        return plan
    from pipelines.runs.status import why_not_prepared

    for reason in why_not_prepared(plan):
        report.say(f"prepare: {reason}")
    # a device that is not there is said before anything is downloaded
    device = machine.choose(recipe.runtime.device, threads=recipe.runtime.threads)
    if not plan.is_local:
        acquire(
            plan.manifest, mirror=mirror, say=report.say,
            progress=lambda done, total: report.advance("download", done, total),
        )  # fmt: skip
    from pipelines.cache import build

    if force:
        with store.lock(plan.clips, waiting=report.say, what=plan.clips.name):
            store.remove(plan.clips)
        for cache in plan.caches.values():
            with store.lock(cache.folder, waiting=report.say, what=f"cache {cache.folder.name}"):
                store.remove(cache.folder)
    unchanged = partial(check_unchanged, recipe, plan)
    clips = build.make_clips(plan, report.say, unchanged)
    for cache in plan.caches.values():
        build.make_cache(
            cache, plan, clips, device, recipe.runtime.num_workers, report.advance, report.say,
            unchanged,
        )  # fmt: skip
    counts = class_counts.of_plan(plan)
    report.say(f"prepare: done, {_names(plan)}")
    for line in class_counts.lines(counts) if tell_classes else ():
        report.say(line)
    return plan


def _names(plan: DataPlan) -> str:
    return ", ".join([plan.clips.name, *(cache.folder.name for cache in plan.caches.values())])


def train(
    recipe: Recipe, report: Reporter, *, mirror: Path | None = None, fresh: bool = False
) -> Path:
    """Train a recipe, or go on where it stopped; returns the run's folder.

    fresh: train anew what is there, or was begun anew; the old run stays until the new one is
    whole. Raises LockedError if another process trains the same recipe.
    """
    plan = plan_data(recipe)
    run = run_folder(recipe, plan)
    if not fresh and _is_trained(run, recipe, report):
        return run  # whoever may only read the home has a hit too
    with store.lock(run, what=f"run {run.name}"):
        if not fresh and _is_trained(run, recipe, report):
            return run
        from pipelines.runs.status import why_not_trained

        if reason := why_not_trained(recipe, run, plan):
            report.say(f"train: {reason}")
        device = machine.choose(
            recipe.runtime.device, threads=recipe.runtime.threads,
            deterministic=recipe.train.deterministic,
        )  # fmt: skip
        # what is there stays until the new run is whole
        anew = trained_anew(run)
        work = anew if anew.exists() or (fresh and run.exists()) else run
        # a run that goes on has what it began from in its checkpoint
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
            with suppress(OSError):  # others are trained anew too
                work.parent.rmdir()
            report.log_to(run / LOG)
            report.say(f"train: {run.name} is the one trained anew")
    return run


def _train(
    recipe: Recipe, plan: DataPlan, run: Path, device: "torch.device", report: Reporter,
    mirror: Path | None,
) -> None:  # fmt: skip
    """Prepare and train in a folder, or go on there."""
    # loaded before hours of preparing: what runs is the code that the key was made of
    from pipelines.training.loop import train as train_network

    # before they are made, so that no `cache prune --unused` takes them in between
    claims.lay(run, [cache.folder.name for cache in plan.caches.values()], report.say)
    prepare(recipe, report, mirror=mirror, plan=plan)
    _describe(run, recipe, plan, machine.description(device))
    claims.settle(run, report.say)
    chosen = train_network(recipe, plan, run, device, report)
    report.say(
        f"train: done, epoch {chosen['epoch']} of {recipe.train.epochs} selected "
        f"({recipe.train.select}), validation {chosen['validation_accuracy']:.2%}"
    )


def _is_trained(run: Path, recipe: Recipe, report: Reporter) -> bool:
    """Say whether there is nothing to train; a recipe that the run lost is written again."""
    if trained_anew(run).exists() or not (run / "trained.json").exists():
        return False
    run_files.read(run / "trained.json", run_files.Trained)
    if not (run / "recipe.yaml").exists():
        _bring_back(run, recipe, report)
    report.say(f"train: hit, {run.name}")
    return True


def _bring_back(run: Path, recipe: Recipe, report: Reporter) -> None:
    """Write the recipe that a run has lost, if this one is the same to the byte, and say so."""
    said = f"train: {run.name} has lost its recipe.yaml"
    wanted = run_files.read(run / "env.json", run_files.Environment).get("recipe_sha256")
    text = recipe.to_yaml()
    if wanted not in (None, hashlib.sha256(text.encode()).hexdigest()):
        report.say(f"{said}, and was trained with other noise, published or runtime settings")
        return
    try:
        store.publish_text(run / "recipe.yaml", text)
        report.say(f"{said}: written again")
    except MachineError as error:  # a home that one may only read
        report.say(f"{said}: {error.message}")


def _describe(run: Path, recipe: Recipe, plan: DataPlan, description: dict[str, Any]) -> None:
    """Write what the run is, before it starts; an unchanged recipe is not written again.

    Raises DataError if it was begun with another recipe, or with other data than there are now.
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
    run_files.publish(run / "env.json", run_files.Environment, environment)


def open_run(name: str | None, settings: tuple[str, ...] = ()) -> tuple[Recipe, Path]:
    """Find a run by folder, name or beginning of a name; None is the one trained last.

    settings: overrides such as "runtime.device=cpu". Raises DataError if there is none or several.
    """
    runs = store.home() / "runs"
    if name is None:
        trained = sorted(runs.glob("*/trained.json"), key=lambda path: path.stat().st_mtime)
        if not trained:
            raise DataError("no trained run yet", "avsnn train RECIPE makes one")
        folder = trained[-1].parent
    else:
        given = os.path.expanduser(name)  # noqa: PTH111 - as isfile, it takes any text
        matches = [Path(given)] if os.path.isfile(os.path.join(given, "recipe.yaml")) else [  # noqa: PTH113, PTH118
            path for path in sorted(runs.glob("*/"))
            if Path(name).name and path.name.startswith(Path(name).name)
            and (path / "recipe.yaml").exists()
        ]  # fmt: skip
        if not matches:
            _refuse_lost(runs, Path(name).name)
            raise DataError(f"no run {show(name)}", "avsnn ls runs")
        if len(matches) > 1:
            found = ", ".join(path.name for path in matches)
            raise DataError(f"several runs begin with {show(name)}: {found}", "name one of them")
        folder = matches[0]
    recipe = recipes.load(folder / "recipe.yaml", settings)
    environment = run_files.read(folder / "env.json", run_files.Environment)
    return replace(recipe, name=environment["name"]), folder


def _refuse_lost(runs: Path, beginning: str) -> None:
    """Raise DataError for a trained run whose recipe.yaml is gone."""
    for path in sorted(runs.glob("*/trained.json")) if beginning else []:
        if path.parent.name.startswith(beginning):
            raise DataError(
                f"run {path.parent.name} has lost its recipe.yaml",
                "avsnn train RECIPE, with the recipe it was trained with, writes it again",
            )


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
        found = run_files.read(run / "eval.json", run_files.Evaluation)
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
    recipe: Recipe, run: Path, noise: Noise, report: Reporter, *, force: bool = False
) -> dict[str, Any]:
    """Sweep the noise over a trained run, or read the result that is there."""
    from pipelines.results.noise_files import noise_result

    path = run / f"{noise_result(noise)}.json"

    def kept() -> dict[str, Any] | None:
        if force or not path.exists():
            return None
        found = run_files.read(path, run_files.NoiseSweep)
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
        from pipelines.evaluation.noise_sweep import noise_sweep

        device = machine.choose(recipe.runtime.device, threads=recipe.runtime.threads)
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
        found = run_files.read(path, run_files.Energy)
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
