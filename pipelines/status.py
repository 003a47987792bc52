"""`avsnn status`: whether each stage of a recipe is done, and what keeps it from being a hit."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pipelines import store, yaml_reader
from pipelines.cache.receipts import are_clips_whole, clips_receipt_path, is_whole
from pipelines.errors import AvsnnError, DataError
from pipelines.evaluation.names import noise_result
from pipelines.plan import CachePlan, DataPlan, of_a_run, plan_data, run_folder
from pipelines.recipe import Recipe, by_path
from pipelines.sources.acquire import missing

Row = dict[str, str]
SHOWN_DIFFERENCES = 3
COMPARED = 50


def status(recipe: Recipe, run: Path | None = None) -> list[Row]:
    """Say of each stage whether it is a hit, with what it is called, or why it is a miss.

    run: its folder; None for where the recipe would be trained.
    """
    plan, run = plan_data(recipe), run or run_folder(recipe)
    return [
        _download(plan),
        _clips(plan),
        *(_cache(cache) for cache in plan.caches.values()),
        _train(recipe, run),
        _evaluate(run),
        _noise(recipe, run),
    ]


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
    others = plan.clips.parent.glob(f"{plan.manifest.name}-*.receipt.json")
    near = _nearest(plan.made_from, ((path.stem, _made_from(path)) for path in _newest(others)))
    return _row("clips", False, near.replace(".receipt", "") or "not made yet")


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
    return _row(stage, False, _nearest(plan.made_from, known) or "not made yet")


def _train(recipe: Recipe, run: Path) -> Row:
    metrics, epochs = run / "metrics.jsonl", recipe.train.epochs
    done = len(metrics.read_bytes().splitlines()) if metrics.is_file() else 0
    if (run / "trained.json").exists():
        detail = f"{run.name}, {done} of {epochs} epochs" + _other_versions(run / "trained.json")
        return _row("train", True, detail)
    if any(run.glob("checkpoint-*")):
        return _row("train", False, f"{run.name} stopped after {done} of {epochs} epochs")
    others = run.parent.glob(f"{run.name.rpartition('-')[0]}-*/recipe.yaml")
    near = _nearest(
        of_a_run(recipe.resolved()),
        ((path.parent.name, of_a_run(_settings(path))) for path in _newest(others)
         if path.parent != run),
    )  # fmt: skip
    return _row("train", False, near or "not started")


def _evaluate(run: Path) -> Row:
    if (run / "eval.json").exists():
        return _row("evaluate", True, "eval.json")
    return _row("evaluate", False, _after_training(run))


def _noise(recipe: Recipe, run: Path) -> Row:
    path, wanted = run / f"{noise_result(recipe.noise)}.json", recipe.noise.model_dump(mode="json")
    if _part(path, "noise") == wanted:
        return _row("noise-eval", True, path.name)
    if path.exists():
        return _row("noise-eval", False, f"{path.name} is damaged")
    others = ((other.name, _part(other, "noise")) for other in _newest(run.glob("noise-*.json")))
    return _row("noise-eval", False, _nearest(wanted, others) or _after_training(run))


def _after_training(run: Path) -> str:
    return "not done yet" if (run / "trained.json").exists() else "waits for train"


def _newest(paths: Iterable[Path]) -> list[Path]:
    return sorted(paths, key=lambda path: path.stat().st_mtime, reverse=True)[:COMPARED]


def _part(path: Path, name: str) -> dict[str, Any]:
    """Read one mapping of a JSON file; what cannot be read has nothing to compare."""
    try:
        found = store.read_json(path)[name]
    except (AvsnnError, KeyError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


def _made_from(receipt: Path) -> dict[str, Any]:
    # the statistics are what was found, not what was asked for
    return {k: v for k, v in _part(receipt, "made_from").items() if k != "statistics"}


def _settings(path: Path) -> dict[str, Any]:
    try:
        return yaml_reader.scan(path).data
    except AvsnnError:
        return {}


def _other_versions(path: Path) -> str:
    """Name the libraries an artefact was made with, where others are installed now."""
    made, now = _part(path, "versions"), store.versions()
    other = [f"{k} {v} (now {now.get(k)})" for k, v in made.items() if now.get(k) != v]
    return f", made with {', '.join(other)}" if other else ""


def _nearest(wanted: Mapping[str, Any], known: Iterable[tuple[str, dict[str, Any]]]) -> str:
    """Say which of the known artefacts is nearest, and in what it differs; "" if there is none."""
    found = [(name, _differences(wanted, settings)) for name, settings in known if settings]
    if not found:
        return ""
    name, differences = min(found, key=lambda pair: len(pair[1]))
    if not differences:
        return f"{name} is of another version of this stage or of an earlier one"
    return f"not with these settings; {name} has {_said(differences)}"


def _said(differences: list[str]) -> str:
    more = len(differences) - SHOWN_DIFFERENCES
    shown = ", ".join(differences[:SHOWN_DIFFERENCES])
    return f"{shown} and {more} more" if more > 0 else shown or "nothing to compare"


def _differences(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """List "a.b 3, not 4" for each setting that differs."""
    one, other = by_path(wanted), by_path(found)
    return [
        f"{name} {other.get(name, 'absent')}, not {one.get(name, 'absent')}"
        for name in {**one, **other}
        if one.get(name, "absent") != other.get(name, "absent")
    ]
