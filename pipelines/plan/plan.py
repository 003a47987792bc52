"""The key and the place of each artefact of a recipe, computed without making any.

A key is a hash of the stage, its version, the key of what it is made from, the resolved settings,
and the code that makes it (see source_code); device, paths and runtime are in no key. A new version
of a stage gives a new key.
"""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipelines import registry
from pipelines.clips import in_place
from pipelines.disk import store
from pipelines.disk.look import anew, look
from pipelines.download import manifest as manifests
from pipelines.download.acquire import raw_folder
from pipelines.errors import DataError
from pipelines.plan.data_plan import CachePlan, DataPlan
from pipelines.plan.run_code import code_of_run
from pipelines.plan.source_code import code_of
from pipelines.recipe.recipe import Recipe
from pipelines.recipe.settings_from_signature import Section, keyword_arguments, keyword_only
from pipelines.results import run_files, schemas

CLIPS_VERSION = 2  # 2: sealed receipts
CACHE_VERSION = 4  # 4: sealed receipts
RUN_VERSION = 1
# what a trained run does not depend on
NOT_OF_A_RUN = ("noise", "published", "runtime")
# it decides when `prepare` stops, not what comes out
NOT_OF_THE_DATA = ("max_excluded_share",)
ANEW = ".anew"
# besides the data set and the feature: the code that makes clips, and that which fills caches
CLIPS, CACHES = "pipelines.cache.clips_build", "pipelines.cache.build"


def plan_data(recipe: Recipe) -> DataPlan:
    """Return the manifest, clips and caches of a recipe. Imports no torch.

    Raises DataError if the data set is a user's folder that is missing or not usable.
    """
    name = recipe.data.dataset
    module = registry.load_module("dataset", name)
    manifest, raw = look(manifests.load_manifest, name), None
    code = code_of(module.__name__, CLIPS)
    made_from: dict[str, Any] = {
        "stage": "clips",
        "version": [CLIPS_VERSION, module.VERSION, manifest.version],
        "settings": data_settings(recipe),
        "code": code,
    }
    if hasattr(module, "LOCAL"):
        raw = in_place.user_folder(getattr(recipe.data, module.LOCAL), module.LOCAL)
    # the user's files may change while the recipe does not: other files must give another key
    own = in_place.own_of(module, raw or raw_folder(manifest), recipe.data)
    made_from |= {name: part for name, part in own._asdict().items() if part}
    if hasattr(module, "present"):
        settings = keyword_arguments(module.present, recipe.data)
        present = look(module.present, raw or raw_folder(manifest), **settings)
        if present is not None:
            made_from["present"] = present
    if hasattr(module, "classes"):
        settings = keyword_arguments(module.classes, recipe.data)
        classes = look(module.classes, raw or raw_folder(manifest), **settings)
        manifest = manifest.model_copy(update={"classes": classes})
    clips_key = store.key(made_from)
    clips = store.home() / "manifests" / f"{name}-{clips_key}.jsonl"
    caches = {
        modality: _plan_cache(modality, section, name, clips_key, module.__name__)
        for modality, section in (("audio", recipe.audio), ("visual", recipe.visual))
        if section is not None
    }
    is_local = raw is not None
    # what receipts record: names of files as one hash, for there may be a million of them
    recorded = of_a_run({"data": recipe.data.model_dump(mode="json")})["data"]
    recorded |= {name: made_from[name] for name in ("classes",) if name in made_from}
    files: dict[str, Any] = {k: made_from[k] for k in ("files", "present") if k in made_from}
    if files:
        recorded["files"] = store.key(files)
    recorded["code"] = code
    return DataPlan(
        manifest=manifest,
        raw=raw or raw_folder(manifest),
        is_local=is_local,
        clips=clips,
        data=recipe.data,
        caches=caches,
        made_from=recorded,
        own_files=own.files,
    )


def data_settings(recipe: Recipe) -> dict[str, Any]:
    """Return the data section without the setting that only locates files: paths are in no key."""
    local = getattr(registry.load_module("dataset", recipe.data.dataset), "LOCAL", None)
    left_out = (local, *NOT_OF_THE_DATA)
    return {k: v for k, v in recipe.data.model_dump(mode="json").items() if k not in left_out}


def of_a_run(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recipe's plain settings without those that a trained run does not depend on."""
    kept = {k: v for k, v in settings.items() if k not in NOT_OF_A_RUN}
    if isinstance(data := kept.get("data"), Mapping):
        kept["data"] = {k: v for k, v in data.items() if k not in NOT_OF_THE_DATA}
    return kept


def check_unchanged(recipe: Recipe, plan: DataPlan) -> None:
    """Raise DataError if the user's files are no longer those that a plan was computed from.

    Call it after they were read: an artefact of changed files must not get the key of the old ones.
    """
    with anew():
        now = plan_data(recipe)
    if now.own_files != plan.own_files:
        raise DataError(
            f"the files of {plan.manifest.name} in {plan.raw} changed while they were read",
            "run the same command again when nothing writes there",
        )


def _plan_cache(
    modality: str, section: Section, dataset: str, clips_key: str, reader: str
) -> CachePlan:
    feature: str = section.feature  # type: ignore[attr-defined]
    module = registry.load_module("feature", feature)
    settings = {name: getattr(section, name) for name in keyword_only(module.extract)}
    if module.READS in ("waveform", "microphones"):
        # the cache's reader, not `extract`, resamples and cuts
        settings |= {name: getattr(section, name) for name in ("sample_rate", "seconds")}
    made_from = {
        "stage": "cache",
        "version": [CACHE_VERSION, module.VERSION],
        "clips": clips_key,
        "feature": feature,
        "settings": {k: list(v) if isinstance(v, tuple) else v for k, v in settings.items()},
        "code": code_of(module.__name__, reader, CLIPS, CACHES),
    }
    folder = store.home() / "cache" / dataset / f"{feature}-{store.key(made_from)}"
    return CachePlan(modality, folder, section, made_from)


def extract_arguments(plan: CachePlan) -> dict[str, Any]:
    """Return the keyword arguments of the feature's `extract`."""
    module = registry.load_module("feature", plan.made_from["feature"])
    return keyword_arguments(module.extract, plan.section)


def check_same_data(run: Path, plan: DataPlan) -> None:
    """Raise DataError if a run's recipe no longer leads to the data that the run was trained on.

    Another split, other classes or another scale would give a result that belongs to no run.
    """
    environment = run_files.read_result(run / "env.json", schemas.Environment)
    then, now = environment["caches"], [cache.folder.name for cache in plan.caches.values()]
    if now != then:
        differs = _since(then, plan)
        raise DataError(
            f"the data of run {run.name} have changed since it was trained: "
            f"{', '.join(now)}, not {', '.join(then)}" + (f"; {differs}" if differs else ""),
            "train the recipe again, or bring back the files and the version of avsnn",
        )
    if environment.get("classes") not in (None, list(plan.manifest.classes)):
        raise DataError(
            f"the classes of run {run.name} are not those of its data now",
            "train the recipe again: avsnn train RECIPE",
        )


def _since(caches: list[str], plan: DataPlan) -> str:
    """Describe which user's files have changed since these caches were made; "" if unknown."""
    for cache in plan.caches.values():
        for name in caches:
            # an old cache may be gone or of another version: the message then names no file
            with contextlib.suppress(DataError, KeyError, TypeError):
                receipt = store.read_json(cache.folder.with_name(name) / "receipt.json")
                clips = f"{plan.manifest.name}-{receipt['made_from']['clips']}.jsonl"
                return in_place.since(plan.clips.with_name(clips), plan.own_files)
    return ""


def run_key(recipe: Recipe, data: DataPlan | None = None) -> str:
    """Return the key of a training run: all settings but noise, published figures and runtime.

    data: the recipe's plan, where it is known.
    """
    settings = recipe.resolved() | {"data": data_settings(recipe)}
    data = data or plan_data(recipe)
    model = registry.load_module("model", recipe.model.name)
    return store.key(
        {
            "stage": "train",
            "version": [RUN_VERSION, getattr(model, "VERSION", 1)],
            "caches": {name: plan.folder.name for name, plan in data.caches.items()},
            "settings": of_a_run(settings),
            "code": code_of_run(recipe, data),
        }
    )


def run_folder(recipe: Recipe, data: DataPlan | None = None) -> Path:
    """Return the folder of a recipe's run: runs/<recipe>-<key>. data: as of run_key."""
    return store.home() / "runs" / f"{recipe.name.replace('/', '-')}-{run_key(recipe, data)}"


def trained_anew(run: Path) -> Path:
    """Return the folder where an existing run is trained again, until the new run replaces it."""
    return run.parent / ANEW / run.name
