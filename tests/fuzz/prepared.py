"""A home with the quickstart's clips and caches, and a run whose results are made up but valid."""

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

from pipelines.cache.receipts import cache_receipt, clips_receipt
from pipelines.disk import store
from pipelines.plan.data_plan import DataPlan
from pipelines.plan.plan import plan_data, run_folder
from pipelines.plan.run_code import code_of_run
from pipelines.recipe import recipe as recipes
from pipelines.recipe.recipe import Recipe
from pipelines.results import run_files, schemas
from pipelines.results.metrics import summary, wilson_interval
from pipelines.runs import prepare_stage

HASH = hashlib.sha256(b"").hexdigest()


class Prepared(NamedTuple):
    """Where everything lies; home: the folder that AVSNN_HOME names."""

    home: Path
    recipe: Recipe
    plan: DataPlan
    run: Path


class Silent:
    """Hears what a stage says."""

    def say(self, text: str) -> None: ...
    def log_to(self, path: Path) -> None: ...
    def advance(self, what: str, done: int, total: int | None) -> None: ...


def prepare(home: Path) -> Prepared:
    """Prepare the quickstart and publish the results of a run that nobody trained."""
    recipe = recipes.load_recipe(recipes.find("quickstart"))
    plan = plan_data(recipe)
    prepare_stage.prepare(recipe, Silent(), plan=plan)  # type: ignore[arg-type]
    run = run_folder(recipe, plan)
    run.mkdir(parents=True)
    (run / "recipe.yaml").write_text(recipe.to_yaml(), encoding="utf-8")
    receipts = [cache_receipt(cache) for cache in plan.caches.values()]
    kept = {
        "name": recipe.name,
        "run": run.name,
        "recipe_sha256": store.sha256(run / "recipe.yaml"),
        "caches": [cache.folder.name for cache in plan.caches.values()],
        "classes": list(plan.manifest.classes),
        "clips_sha256": receipts[0].clips_sha256,
        "cache_contents": [receipt.content_sha256 for receipt in receipts],
        "code": code_of_run(recipe, plan),
        "versions": store.versions(),
        "machine": {"cpu": "x"},
    }
    run_files.publish(run / "env.json", schemas.Environment, kept)
    metrics = [
        {
            "epoch": i,
            "lr": 0.1,
            "train_loss": 2.0 / (i + 1),
            "validation_loss": 1.0,
            "validation_accuracy": 0.5,
            "seconds": 1.0,
            "firing_rates": {"a": 0.5},
        }
        for i in range(3)
    ]
    text = "".join(json.dumps(record) + "\n" for record in metrics)
    (run / "metrics.jsonl").write_text(text, encoding="utf-8")
    trained = {
        "selected": metrics[1],
        "rule": "last",
        "epochs": 3,
        "sha256": HASH,
        "metrics_sha256": store.sha256(run / "metrics.jsonl"),
        "start_from": [],
        "parameters": 7,
    }
    run_files.publish(run / "trained.json", schemas.Trained, trained)
    run_files.publish(run / "eval.json", schemas.Evaluation, _evaluation(plan))
    noise = recipe.noise
    points = [
        {
            "snr_db": level,
            "correct": 8,
            "accuracy": 0.8,
            **dict(zip(("wilson_low", "wilson_high"), wilson_interval(8, 10), strict=True)),
        }
        for level in (None, *noise.snr_db.levels())
    ]
    swept = {
        "noise": json.loads(noise.model_dump_json()),
        "noisy_inputs": ["audio", "visual"],
        "points": points,
        "n": 10,
    }
    run_files.publish(run / "noise-both.json", schemas.NoiseSweep, swept)
    run_files.publish(run / "energy.json", schemas.Energy, _energy())
    assert clips_receipt(plan.clips).clips["test"]
    return Prepared(home, recipe, plan, run)


def _evaluation(plan: DataPlan) -> dict[str, Any]:
    names = list(plan.manifest.classes)
    labels = [i % len(names) for i in range(10)]
    predictions = [*labels[:8], 0, 0]
    clips = [f"clip-{i}" for i in range(10)]
    azimuths = {clip: 10.0 * i for i, clip in enumerate(clips)}
    return {
        "recipe": "quickstart",
        "dataset": "digits-av",
        "protocol": None,
        "seed": 0,
        "selection": "last (epoch 1)",
        "split": "test",
        "weights_sha256": HASH,
        **summary(labels, predictions, names),
        "loss": 1.0,
        "firing_rates": {"a": 0.5},
        "predictions": dict(zip(clips, predictions, strict=True)),
        "labels": dict(zip(clips, labels, strict=True)),
        "azimuths_deg": azimuths,
        "true_azimuths_deg": azimuths,
        "doa": {"n": 10, "mae_deg": 0.0, "below_2_5_deg": 1.0, "up_to_5_deg": 1.0},
    }


def _energy() -> dict[str, Any]:
    price = {"macs": 1.0, "acs": 2.0, "energy_pj": {"float32": 3.0}}
    return {
        "n": 4,
        "asked": 4,
        "seed": 0,
        "label": "estimate",
        "total": price,
        "ann_twin": price,
        "layers": [
            {"name": "a", "operation": "linear", "input": "spikes", "density": 0.5, **price}
        ],
        "uncounted": [],
    }
