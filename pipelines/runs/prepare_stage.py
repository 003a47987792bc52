"""The stage `prepare`: make the clips and caches of a recipe that are missing.

Heavy imports are inside the functions, so that a stage with nothing to do ends at once.
"""

from functools import partial
from pathlib import Path

from pipelines import device as machine
from pipelines.disk import store
from pipelines.download.acquire import acquire
from pipelines.plan.data_plan import DataPlan
from pipelines.plan.plan import check_unchanged, plan_data
from pipelines.recipe.recipe import Recipe
from pipelines.runs.reporter import Reporter


def is_prepared(plan: DataPlan) -> bool:
    """Check whether the clips and caches of a plan are complete. Imports no torch.

    Raises DataError if one is damaged, or a cache was built for other clips.
    """
    from pipelines.cache.receipts import are_clips_whole, check_built_for, is_whole

    if not are_clips_whole(plan.clips):
        return False
    if not all(is_whole(cache) for cache in plan.caches.values()):
        return False
    check_built_for(plan)
    return True


def prepare(
    recipe: Recipe,
    report: Reporter,
    *,
    mirror: Path | None = None,
    force: bool = False,
    tell_classes: bool = True,
    plan: DataPlan | None = None,
) -> DataPlan:
    """Make a recipe's clips and caches where they are missing; returns the plan with their places.

    force: make clips and caches again, damaged ones too, once sources and device are there.
    tell_classes: if anything was made, report the number of clips by class and split at the end.
    plan: the recipe's plan, if the caller has it. Raises DataError if the user's own files change
    meanwhile.
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
    # first, so that a missing device is an error before hours of downloading
    device = machine.choose(recipe.runtime.device, threads=recipe.runtime.threads)
    if not plan.is_local:
        acquire(
            plan.manifest,
            mirror=mirror,
            say=report.say,
            progress=lambda done, total: report.advance("download", done, total),
        )
    from pipelines.cache import build, clips_build

    if force:  # only here: without sources or device nothing may be removed
        with store.lock(plan.clips, waiting=report.say, what=plan.clips.name):
            store.remove(plan.clips)
        for cache in plan.caches.values():
            with store.lock(cache.folder, waiting=report.say, what=f"cache {cache.folder.name}"):
                store.remove(cache.folder)
    # own files of the user have no checksum in a manifest: they are compared before publishing
    unchanged = partial(check_unchanged, recipe, plan)
    clips = clips_build.make_clips(plan, report.say, unchanged)
    for cache in plan.caches.values():
        build.make_cache(
            cache,
            plan,
            clips,
            device,
            recipe.runtime.num_workers,
            report.advance,
            report.say,
            unchanged,
        )
    counts = class_counts.of_plan(plan)
    report.say(f"prepare: done, {_names(plan)}")
    for line in class_counts.lines(counts) if tell_classes else ():
        report.say(line)
    return plan


def _names(plan: DataPlan) -> str:
    return ", ".join([plan.clips.name, *(cache.folder.name for cache in plan.caches.values())])
