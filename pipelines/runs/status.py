"""`avsnn status`: which stages of a recipe are a hit, and why the others are a miss."""

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipelines.cache.receipts import are_clips_whole, clips_receipt_path, is_whole
from pipelines.clips import in_place
from pipelines.disk import store
from pipelines.download.acquire import missing
from pipelines.errors import AvsnnError, DataError
from pipelines.plan.data_plan import CachePlan, DataPlan
from pipelines.plan.plan import of_a_run, plan_data, run_folder, trained_anew
from pipelines.plan.run_code import code_of_run, other_code
from pipelines.recipe import yaml_reader
from pipelines.recipe.noise import EventNoise, Noise
from pipelines.recipe.recipe import Recipe, load_recipe
from pipelines.results.noise_files import noise_result
from pipelines.runs.nearest import CACHES, CODE, OTHER_SETTINGS, nearest

Row = dict[str, str]
COMPARED = 50  # artefacts, the newest: a home may hold thousands of runs
NOT_MADE = "not made yet"


def status(
    recipe: Recipe, run: Path | None = None, noise: Noise | EventNoise | None = None
) -> list[Row]:
    """Return a row for each stage: a hit with its artefact's name, or a miss with the reason.

    run: the run's folder; None for the one that the recipe would be trained in. noise: None for the
    recipe's.
    """
    plan = plan_data(recipe)
    run = run or run_folder(recipe, plan)
    other = _other_code(run, recipe, plan)
    return [
        _download(plan),
        _clips(plan),
        *(_cache(cache) for cache in plan.caches.values()),
        _train(recipe, run, plan, other),
        _evaluate(run, other),
        _noise(noise or recipe.noise, run, other),
    ]


def why_not_prepared(plan: DataPlan) -> list[str]:
    """Return why clips or caches are a miss, for those with a similar artefact that exists."""
    rows = [_clips(plan), *(_cache(cache) for cache in plan.caches.values())]
    return [
        f"{row['stage']}: {row['detail']}"
        for row in rows
        if row["state"] == "miss" and row["detail"] != NOT_MADE
    ]


def why_not_trained(recipe: Recipe, run: Path, plan: DataPlan) -> str:
    """Return why a run with the same settings is not this one; "" if there is no such run."""
    reason = "" if run.exists() else _nearest_run(recipe, run, plan)
    # other settings were asked for: no surprise that needs a reason
    return "" if reason.startswith(OTHER_SETTINGS) else reason


def _row(stage: str, hit: bool, detail: str) -> Row:
    return {"stage": stage, "state": "hit" if hit else "miss", "detail": detail}


def _download(plan: DataPlan) -> Row:
    if plan.is_local:
        return _row("download", True, f"reads {plan.raw}")
    lacking = missing(plan.manifest)
    more = f" and {len(lacking) - 2} more" if len(lacking) > 2 else ""
    detail = f"lacks {', '.join(lacking[:2])}{more}" if lacking else "all sources"
    return _row("download", not lacking, detail)


def _clips(plan: DataPlan) -> Row:
    try:
        if are_clips_whole(plan.clips):
            versions = _other_versions(clips_receipt_path(plan.clips))
            return _row("clips", True, plan.clips.name + versions)
    except DataError as error:
        return _row("clips", False, error.message)
    if differs := _other_files(plan):
        return _row("clips", False, differs)
    near = nearest(
        plan.made_from, ((path.stem, _made_from(path)) for path in _other_receipts(plan))
    )
    return _row("clips", False, near.replace(".receipt", "") or NOT_MADE)


def _other_files(plan: DataPlan) -> str:
    """Return which changed files of the user's make the clips a miss; "" if none do."""
    for receipt in _other_receipts(plan):
        earlier = _made_from(receipt)
        clips = receipt.with_name(receipt.name.replace(".receipt.json", ".jsonl"))
        of_files = ("files", "classes")
        same = all(earlier.get(k) == v for k, v in plan.made_from.items() if k not in of_files)
        if same and (differs := in_place.since(clips, plan.own_files)):
            hashes = f"files {earlier.get('files')}, not {plan.made_from.get('files')}"
            return f"not with these files: {differs}; {clips.stem} has {hashes}"
    return ""


def _other_receipts(plan: DataPlan) -> list[Path]:
    return _newest(plan.clips.parent.glob(f"{plan.manifest.name}-*.receipt.json"))


def _cache(plan: CachePlan) -> Row:
    stage = f"cache {plan.modality}"
    try:
        if is_whole(plan):
            return _row(stage, True, plan.folder.name + _other_versions(plan.receipt))
    except DataError as error:
        return _row(stage, False, error.message)
    if plan.folder.exists():
        return _row(stage, False, f"{plan.folder.name} was not finished")
    others = plan.folder.parent.glob(f"{plan.made_from['feature']}-*/receipt.json")
    known = ((path.parent.name, _made_from(path)) for path in _newest(others))
    return _row(stage, False, nearest(plan.made_from, known) or NOT_MADE)


def _train(recipe: Recipe, run: Path, plan: DataPlan, other: str) -> Row:
    metrics, epochs = run / "metrics.jsonl", recipe.train.epochs
    done = len(metrics.read_bytes().splitlines()) if metrics.is_file() else 0
    if trained_anew(run).exists():
        return _row("train", False, f"{run.name} was to be trained anew, which was not finished")
    if (run / "trained.json").exists():
        detail = f"{run.name}, {done} of {epochs} epochs" + _other_versions(run / "trained.json")
        detail += f", with {other}" if other else ""
        return _row("train", True, detail)
    if any(run.glob("checkpoint-*")):
        return _row("train", False, f"{run.name} stopped after {done} of {epochs} epochs")
    return _row("train", False, _nearest_run(recipe, run, plan) or "not started")


def _nearest_run(recipe: Recipe, run: Path, plan: DataPlan) -> str:
    others = run.parent.glob(f"{run.name.rpartition('-')[0]}-*/recipe.yaml")
    missing_run = of_a_run(recipe.resolved()) | {
        CODE: code_of_run(recipe, plan),
        CACHES: [c.folder.name for c in plan.caches.values()],
    }
    known = (
        (path.parent.name, settings | _beside(path, CODE, CACHES))
        for path in _newest(others)
        if path.parent != run and (settings := of_a_run(_settings(path)))
    )
    return nearest(missing_run, known)


def _beside(recipe: Path, *names: str) -> dict[str, Any]:
    """Return parts of the env.json beside a run's recipe; {} if it is not readable."""
    try:
        environment = store.read_json(recipe.with_name("env.json"))
        return {name: environment[name] for name in names if name in environment}
    except (AvsnnError, TypeError):
        return {}


def _other_code(run: Path, recipe: Recipe, plan: DataPlan) -> str:
    """Return in what the code of a trained run differs; "" if in nothing, or not readable."""
    try:
        return other_code(run, recipe, plan) if (run / "trained.json").exists() else ""
    except DataError:
        return ""


def _evaluate(run: Path, other: str) -> Row:
    if (run / "eval.json").exists():
        return _row("evaluate", True, "eval.json")
    return _row("evaluate", False, _after_training(run, other))


def _noise(noise: Noise | EventNoise, run: Path, other: str) -> Row:
    path, settings = run / f"{noise_result(noise)}.json", noise.model_dump(mode="json")
    if _part(path, "noise") == settings:
        return _row("noise-eval", True, path.name)
    if path.exists():
        return _row("noise-eval", False, f"{path.name} is damaged")
    beginning = "event-noise-" if isinstance(noise, EventNoise) else "noise-"
    sweeps = (
        (sweep.name, _part(sweep, "noise")) for sweep in _newest(run.glob(f"{beginning}*.json"))
    )
    return _row("noise-eval", False, nearest(settings, sweeps) or _after_training(run, other))


def _after_training(run: Path, other: str) -> str:
    if other:
        return f"not possible: trained with {other}"
    return "not done yet" if (run / "trained.json").exists() else "waits for train"


def _newest(paths: Iterable[Path]) -> list[Path]:
    return sorted(paths, key=lambda path: path.stat().st_mtime, reverse=True)[:COMPARED]


def _part(path: Path, name: str) -> dict[str, Any]:
    """Return one mapping of a JSON file; {} if it is not readable."""
    try:
        part = store.read_json(path)[name]
    except (AvsnnError, KeyError, TypeError):
        return {}
    return part if isinstance(part, dict) else {}


def _made_from(receipt: Path) -> dict[str, Any]:
    # the statistics were measured, and are in no key
    return {k: v for k, v in _part(receipt, "made_from").items() if k != "statistics"}


def _settings(path: Path) -> dict[str, Any]:
    """Return the settings of a run's recipe; {} if it is not readable.

    A setting that is newer than the run has its default: the run was trained as if it had it.
    """
    with contextlib.suppress(AvsnnError):
        return load_recipe(path).resolved()
    with contextlib.suppress(AvsnnError):
        return yaml_reader.scan(path).data
    return {}


def _other_versions(path: Path) -> str:
    """Return the libraries of an artefact of which another version is installed now; else ""."""
    then, now = _part(path, "versions"), store.versions()
    changed = [f"{k} {v} (now {now.get(k)})" for k, v in then.items() if now.get(k) != v]
    return f", made with {', '.join(changed)}" if changed else ""
