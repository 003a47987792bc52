"""Look at the test set, once, with the weights that validation selected."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from pipelines.cache.receipts import clips_of, clips_receipt
from pipelines.errors import DataError
from pipelines.figures.confusion_plot import draw_confusion
from pipelines.figures.plot_style import write
from pipelines.plan.plan import DataPlan
from pipelines.recipe.recipe import Recipe
from pipelines.results import run_files
from pipelines.results.metrics import summary
from pipelines.snn.doa import Errors
from pipelines.training import checkpoint
from pipelines.training.batches import loader, open_split
from pipelines.training.infer import Predictions, predict
from pipelines.training.inputs import Inputs
from pipelines.training.network import autocast_of, build_model


def trained_model(
    recipe: Recipe, plan: DataPlan, run: Path, device: torch.device
) -> tuple[nn.Module, dict[str, Any]]:
    """Load a run's selected weights; returns the network and what `trained.json` says of them."""
    if not (run / "trained.json").exists():
        raise DataError(f"{run} is not trained", "avsnn train RECIPE finishes it")
    trained = run_files.read(run / "trained.json", run_files.Trained)
    model = build_model(recipe, plan, device)
    weights = checkpoint.load_weights(run / "best.safetensors", trained["sha256"])
    checkpoint.put_weights(model, weights, run / "best.safetensors")
    return model, trained


def provenance(recipe: Recipe, plan: DataPlan, trained: dict[str, Any], n: int) -> dict[str, Any]:
    """Say what every number carries: data set, protocol, seed, selection rule, n, weights."""
    data = recipe.data.model_dump(mode="json")
    return {
        "recipe": recipe.name, "dataset": data["dataset"],
        "protocol": clips_receipt(plan.clips).protocol,
        "seed": recipe.seed, "data_seed": data.get("seed"),
        "selection": f"{trained['rule']} (epoch {trained['selected']['epoch']})",
        "split": "test", "n": n, "weights_sha256": trained["sha256"],
        "start_from": [begun["run"] for begun in trained.get("start_from", [])],
    }  # fmt: skip


def evaluate(recipe: Recipe, plan: DataPlan, run: Path, device: torch.device) -> dict[str, Any]:
    """Evaluate a trained run on its test split; publishes eval.json and confusion.png."""
    model, trained = trained_model(recipe, plan, run, device)
    clips = clips_of(plan)
    split = open_split(plan, clips, "test")
    found = predict(
        model, split, loader(split, recipe, device),
        Inputs(recipe, plan, device).for_evaluation, recipe, autocast_of(recipe, device),
    )  # fmt: skip
    classes = plan.manifest.classes
    result = {
        **provenance(recipe, plan, trained, len(split)),
        "sources": {m: len(cache) for m, cache in split.caches.items()},
        **summary(found.labels, found.predictions, classes),
        "loss": found.loss,
        "firing_rates": found.rates,
        **directions(found, split.clips),
        "predictions": _by_clip(split.clips, found.predictions),
        "labels": _by_clip(split.clips, found.labels),
    }
    title = _title(recipe, result)
    write(draw_confusion(result["confusion"], classes, title), run / "confusion.png")
    return run_files.publish(run / "eval.json", run_files.Evaluation, result)


def directions(found: Predictions, clips: list[Any]) -> dict[str, Any]:
    """Say what eval.json says about azimuths, in degrees; {} where the network gives none."""
    if found.azimuth_deg is None:
        return {}
    each = {clip.id: float(a) for clip, a in zip(clips, found.azimuth_deg, strict=True)}
    if found.doa is None:
        return {"azimuths_deg": each}
    true = {clip.id: float(clip.azimuth_deg) for clip in clips}
    return {"doa": doa_summary(found.doa), "azimuths_deg": each, "true_azimuths_deg": true}


def doa_summary(errors: Errors) -> dict[str, Any]:
    """Return the errors as plain JSON, with shares of n for the two counts."""
    return {
        "n": errors.n, "mae_deg": errors.mae_deg,
        "below_2_5_deg": errors.below_2_5 / errors.n, "up_to_5_deg": errors.up_to_5 / errors.n,
    }  # fmt: skip


def _by_clip(clips: list[Any], values: NDArray[np.int64]) -> dict[str, int]:
    return {clip.id: int(value) for clip, value in zip(clips, values, strict=True)}


def _title(recipe: Recipe, result: dict[str, Any]) -> str:
    return f"{recipe.name}, {result['dataset']} ({result['protocol']})"
