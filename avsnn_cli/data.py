"""`avsnn download` and `avsnn prepare`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from avsnn_cli.render import Reporter, megabytes
from pipelines import plan, registry, stages
from pipelines import recipe as recipes
from pipelines.errors import DataError, RecipeError, UsageError
from pipelines.recipe import Recipe
from pipelines.sources import acquire
from pipelines.sources import manifest as manifests


def download(
    name: str, mirror: Path | None, report: Reporter, *, check: bool, dry_run: bool
) -> dict[str, Any]:
    """Fetch a dataset's sources, or only check them. Raises DataError listing what is wrong."""
    manifest = manifests.load(name)
    raw = acquire.raw_folder(manifest)
    lacking = acquire.missing(manifest)
    if check:
        if faults := acquire.check(manifest):
            raise DataError("\n".join(faults), f"avsnn download {name} fetches what is missing")
        report.say(f"download: {name} is whole, in {raw}")
    elif dry_run or not lacking:
        report.say(f"download: {len(lacking) or 'nothing'} to fetch for {name}")
        for path in lacking:
            report.say(f"  {path}")
    else:
        size = megabytes(manifest.total_bytes())
        report.say(f"download: {name}, size {size}, licence: {manifest.licence}")
        progress = lambda done, total: report.advance("download", done, total)  # noqa: E731
        acquire.acquire(manifest, mirror=mirror, say=report.say, progress=progress)
        report.say(f"download: done, in {raw}")
    return {"dataset": name, "folder": str(raw), "missing": acquire.missing(manifest)}


def prepare(
    what: str, settings: Sequence[str], mirror: Path | None, report: Reporter,
    *, dry_run: bool, force: bool,
) -> list[dict[str, Any]]:  # fmt: skip
    """Prepare a recipe, or every bundled recipe of a dataset; says where the results are."""
    done = []
    for recipe in _wanted(what, settings):
        found = plan.plan_data(recipe)
        if not dry_run:
            stages.prepare(recipe, report, mirror=mirror, force=force)
        rows = [("clips", found.clips)]
        rows += [(f"cache {modality}", cache.folder) for modality, cache in found.caches.items()]
        done += [
            {"recipe": recipe.name, "stage": stage, "there": "yes" if path.exists() else "no",
             "path": str(path)}
            for stage, path in rows
        ]  # fmt: skip
    return done


def _wanted(what: str, settings: Sequence[str]) -> list[Recipe]:
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
    found: dict[tuple[str, ...], Recipe] = {}
    for name in recipes.bundled_names():
        recipe = recipes.load(recipes.find(name), settings, with_model=False)
        if recipe.data.dataset == what:
            caches = plan.plan_data(recipe).caches.values()
            found.setdefault(tuple(cache.folder.name for cache in caches), recipe)
    return list(found.values())
