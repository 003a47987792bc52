"""`avsnn download` and `avsnn prepare`: source files, then clips and feature caches."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from avsnn_cli.layout import TableRows
from pipelines import registry
from pipelines.cache import class_counts
from pipelines.download import acquire
from pipelines.download import manifest as manifests
from pipelines.download.acquire import Discrepancy
from pipelines.download.manifest import DatasetManifest
from pipelines.errors import AvsnnError, DataError, RecipeError, UsageError
from pipelines.plan import plan
from pipelines.plan.data_plan import DataPlan
from pipelines.recipe import recipe as recipes
from pipelines.recipe.recipe import Recipe
from pipelines.runs import prepare_stage
from pipelines.runs.reporter import Reporter

SHOWN_FAULTS = 20
FAULT_KINDS = ("missing", "changed", "extra")


class FaultsFoundError(DataError):
    """`--check` found faults; the message lists the first of them and counts the rest."""

    def __init__(self, faults: Sequence[Discrepancy], hint: str) -> None:
        lines = [str(fault) for fault in faults[:SHOWN_FAULTS]]
        if len(faults) > len(lines):
            kinds: list[str] = [fault.kind for fault in faults]
            counts = (f"{kinds.count(kind)} {kind}" for kind in FAULT_KINDS)
            lines.append(f"and {len(faults) - len(lines)} more: {', '.join(counts)} in all")
        super().__init__("\n".join(lines), hint)


def download(
    name: str, mirror: Path | None, report: Reporter, *, check: bool, dry_run: bool
) -> dict[str, Any]:
    """Download the sources of a data set, or only check them.

    Raises FaultsFoundError where a check finds faults, MachineError where the disk has no room.
    """
    manifest = manifests.load_manifest(name)
    raw = acquire.raw_folder(manifest)
    lacking = acquire.missing(manifest)
    if check:
        return _check(manifest, report)
    report.say(f"download: {len(lacking) or 'nothing'} to fetch for {name}")
    if lacking:
        size = acquire.size(manifest, lacking)
        report.say(f"download: {name}: {size.download} to fetch, {size.kept} on the disk")
        # before the download, so that who may not use the data can still stop it
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
    if faults:
        lacking = acquire.missing(manifest)
        hint = f"avsnn download {name} fetches what is missing"
        # a changed or extra file stays where it is: it may be the user's own
        if any(fault.path not in lacking for fault in faults):
            hint = f"remove each damaged source from {raw}; then {hint}"
        raise FaultsFoundError(faults, hint)
    report.say(f"download: {name} is whole, in {raw}")
    return {"dataset": name, "folder": str(raw), **{kind: [] for kind in FAULT_KINDS}}


def prepare(
    what: str,
    settings: Sequence[str],
    mirror: Path | None,
    report: Reporter,
    *,
    dry_run: bool,
    force: bool,
) -> TableRows:
    """Prepare a recipe, or every bundled recipe of a data set; return the paths of the results.

    Reports the classes and their counts by split at the end, once for recipes with equal clips.
    """
    rows: TableRows = []
    recipe_by_lines: dict[tuple[str, ...], str] = {}
    for recipe in _recipes_of(what, settings, report):
        data_plan = plan.plan_data(recipe)
        counts: list[class_counts.Row] | None = None
        if not dry_run:
            was_prepared = not force and prepare_stage.is_prepared(data_plan)
            prepare_stage.prepare(recipe, report, mirror=mirror, force=force, tell_classes=False)
            # the remarks of clips that are new were reported while they were made
            for line in class_counts.remarks(data_plan) if was_prepared else ():
                report.say(line)
            counts = class_counts.of_plan(data_plan)
            recipe_by_lines.setdefault(tuple(class_counts.lines(counts)), recipe.name)
        rows += _artefacts(recipe, data_plan, counts)
    for lines, name in recipe_by_lines.items():
        for line in (f"clips of {name}:", *lines) if len(recipe_by_lines) > 1 else lines:
            report.say(line)
    return rows


def _artefacts(
    recipe: Recipe, data_plan: DataPlan, counts: list[class_counts.Row] | None
) -> TableRows:
    """Return a row for the clips and one for each cache: whether it exists, and where."""
    paths = {"clips": data_plan.clips}
    paths |= {f"cache {modality}": cache.folder for modality, cache in data_plan.caches.items()}
    return [
        {
            "recipe": recipe.name,
            "stage": stage,
            "there": "yes" if path.exists() else "no",
            "path": str(path),
            **({"classes": counts} if counts and stage == "clips" else {}),
        }
        for stage, path in paths.items()
    ]


def _recipes_of(what: str, settings: Sequence[str], report: Reporter) -> list[Recipe]:
    """Return the recipe of that name, or those of the data set, one for each set of caches."""
    try:
        return [recipes.load_recipe(recipes.find(what), settings, with_model=False)]
    except RecipeError:
        if what not in registry.names("dataset"):
            # a recipe that exists and is refused: its own error says more than "no dataset"
            if what.endswith((".yaml", ".yml")) or what in recipes.bundled_names():
                raise
            known = [*registry.names("dataset"), *recipes.bundled_names()]
            raise UsageError(
                f"no dataset or recipe {what!r}", registry.closest(what, known)
            ) from None
    paths = {name: recipes.find(name) for name in recipes.bundled_names()}
    by_caches: dict[tuple[str, ...], Recipe] = {}
    refused: dict[str, tuple[AvsnnError, list[str]]] = {}
    for name, path in paths.items():
        if recipes.load_recipe(path, with_model=False).data.dataset != what:
            continue
        try:
            recipe = recipes.load_recipe(path, settings, with_model=False)
            caches = plan.plan_data(recipe).caches.values()
        except (DataError, RecipeError) as error:
            # it needs a folder of the user's, or a --set is for a section that it lacks
            refused.setdefault(error.message, (error, []))[1].append(name)
            continue
        by_caches.setdefault(tuple(cache.folder.name for cache in caches), recipe)
    if not by_caches:
        raise next(iter(refused.values()))[0]
    for reason, names in refused.values():
        report.say(f"prepare: left out: {', '.join(names)}: {reason.message}; {reason.hint}")
    return list(by_caches.values())
