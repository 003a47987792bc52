"""`avsnn download` and `avsnn prepare`."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from avsnn_cli.render import Reporter
from pipelines import registry
from pipelines.cache import class_counts
from pipelines.download import acquire
from pipelines.download import manifest as manifests
from pipelines.download.acquire import Discrepancy
from pipelines.download.manifest import DatasetManifest
from pipelines.errors import AvsnnError, DataError, RecipeError, UsageError
from pipelines.plan import plan
from pipelines.recipe import recipe as recipes
from pipelines.recipe.recipe import Recipe
from pipelines.runs import prepare_stage

SHOWN_FAULTS = 20


class FaultsFoundError(DataError):
    """`--check` found faults; found: all of them, for --json, while the message names the first."""

    def __init__(self, faults: Sequence[Discrepancy], found: dict[str, Any], hint: str) -> None:
        lines = [str(fault) for fault in faults[:SHOWN_FAULTS]]
        if len(faults) > len(lines):
            counts = (f"{len(found[kind])} {kind}" for kind in ("missing", "changed", "extra"))
            lines.append(f"and {len(faults) - len(lines)} more: {', '.join(counts)} in all")
        super().__init__("\n".join(lines), hint)
        self.found = found


def download(
    name: str, mirror: Path | None, report: Reporter, *, check: bool, dry_run: bool
) -> dict[str, Any]:
    """Fetch a dataset's sources, or only check them.

    Raises FaultsFoundError with what a check finds, MachineError where the disk has no room.
    """
    manifest = manifests.load(name)
    raw = acquire.raw_folder(manifest)
    lacking = acquire.missing(manifest)
    if check:
        return _check(manifest, report)
    report.say(f"download: {len(lacking) or 'nothing'} to fetch for {name}")
    if lacking:
        size = acquire.size(manifest, lacking)
        report.say(f"download: {name}: {size.download} to fetch, {size.kept} on the disk")
        report.say(f"download: licence: {manifest.licence}")
        acquire.require_room(manifest, mirror)
    if dry_run:
        for path in lacking:
            report.say(f"  {path}")
    elif lacking:
        progress = partial(report.advance, "download")
        acquire.acquire(manifest, mirror=mirror, say=report.say, progress=progress)
        report.say(f"download: done, in {raw}")
    return {"dataset": name, "folder": str(raw), "missing": acquire.missing(manifest)}


def _check(manifest: DatasetManifest, report: Reporter) -> dict[str, Any]:
    name, raw = manifest.name, acquire.raw_folder(manifest)
    faults = acquire.check(manifest)
    found = {"dataset": name, "folder": str(raw)} | {
        kind: [fault.path for fault in faults if fault.kind == kind]
        for kind in ("missing", "changed", "extra")
    }
    if faults:
        lacking = acquire.missing(manifest)
        hint = f"avsnn download {name} fetches what is missing"
        if any(fault.path not in lacking for fault in faults):
            hint = f"remove each damaged source from {raw}; then {hint}"
        raise FaultsFoundError(faults, found, hint)
    report.say(f"download: {name} is whole, in {raw}")
    return found


def prepare(
    what: str, settings: Sequence[str], mirror: Path | None, report: Reporter,
    *, dry_run: bool, force: bool,
) -> list[dict[str, Any]]:  # fmt: skip
    """Prepare a recipe, or every bundled recipe of a dataset; says where the results are.

    Ends with the classes and their counts by split; of recipes with the same clips once.
    """
    done: list[dict[str, Any]] = []
    told: dict[tuple[str, ...], str] = {}
    for recipe in _wanted(what, settings, report):
        found = plan.plan_data(recipe)
        counts: list[class_counts.Row] | None = None
        if not dry_run:
            was_there = not force and prepare_stage.is_prepared(found)
            prepare_stage.prepare(recipe, report, mirror=mirror, force=force, tell_classes=False)
            for line in class_counts.remarks(found) if was_there else ():
                report.say(line)
            counts = class_counts.of_plan(found)
            told.setdefault(tuple(class_counts.lines(counts)), recipe.name)
        rows = [("clips", found.clips)]
        rows += [(f"cache {modality}", cache.folder) for modality, cache in found.caches.items()]
        done += [
            {"recipe": recipe.name, "stage": stage, "there": "yes" if path.exists() else "no",
             "path": str(path), **({"classes": counts} if counts and stage == "clips" else {})}
            for stage, path in rows
        ]  # fmt: skip
    for lines, name in told.items():
        for line in (f"clips of {name}:", *lines) if len(told) > 1 else lines:
            report.say(line)
    return done


def _wanted(what: str, settings: Sequence[str], report: Reporter) -> list[Recipe]:
    """Return the recipe of that name, or those of the dataset, one for each set of caches."""
    try:
        return [recipes.load(recipes.find(what), settings, with_model=False)]
    except RecipeError:
        if what not in registry.names("dataset"):
            if what.endswith((".yaml", ".yml")) or what in recipes.bundled_names():
                raise
            known = [*registry.names("dataset"), *recipes.bundled_names()]
            raise UsageError(
                f"no dataset or recipe {what!r}", registry.closest(what, known)
            ) from None
    paths = {name: recipes.find(name) for name in recipes.bundled_names()}
    found: dict[tuple[str, ...], Recipe] = {}
    refused: dict[str, tuple[AvsnnError, list[str]]] = {}
    for name, path in paths.items():
        if recipes.load(path, with_model=False).data.dataset != what:
            continue
        try:
            recipe = recipes.load(path, settings, with_model=False)
            caches = plan.plan_data(recipe).caches.values()
        except (DataError, RecipeError) as error:
            # it needs a folder of the user's, or has no such section as a setting is for
            refused.setdefault(error.message, (error, []))[1].append(name)
            continue
        found.setdefault(tuple(cache.folder.name for cache in caches), recipe)
    if not found:
        raise next(iter(refused.values()))[0]
    for reason, names in refused.values():
        report.say(f"prepare: left out: {', '.join(names)}: {reason.message}; {reason.hint}")
    return list(found.values())
