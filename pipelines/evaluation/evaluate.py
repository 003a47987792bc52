"""Evaluate the selected weights on the test set."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pipelines.evaluation.trained_run import TrainedRun
from pipelines.figures.confusion_plot import draw_confusion
from pipelines.figures.plot_style import write
from pipelines.plan.data_plan import DataPlan
from pipelines.recipe.recipe import Recipe
from pipelines.results import run_files, schemas
from pipelines.results.metrics import summary
from pipelines.snn.doa import Errors
from pipelines.training.infer import Predictions


def evaluate(recipe: Recipe, plan: DataPlan, run: Path, device: torch.device) -> dict[str, Any]:
    """Evaluate a trained run on its test split. Publishes eval.json and confusion.png."""
    opened = TrainedRun.open(recipe, plan, run, device)
    split, outcome = opened.split, opened.predict()
    result = {
        **opened.provenance(len(split)),
        "sources": {m: len(cache) for m, cache in split.caches.items()},
        **summary(outcome.labels, outcome.predictions, opened.classes),
        "loss": outcome.loss,
        "firing_rates": outcome.rates,
        **directions(outcome, split.clips),
        "predictions": _by_clip(split.clips, outcome.predictions),
        "labels": _by_clip(split.clips, outcome.labels),
    }
    # the picture first: eval.json marks the stage as done
    title = _title(recipe, result)
    write(draw_confusion(result["confusion"], opened.classes, title), run / "confusion.png")
    return run_files.publish(run / "eval.json", schemas.Evaluation, result)


def directions(outcome: Predictions, clips: list[Any]) -> dict[str, Any]:
    """Return the azimuths for eval.json, in degrees; {} where the network predicts none."""
    if outcome.azimuth_deg is None:
        return {}
    each = {clip.id: float(a) for clip, a in zip(clips, outcome.azimuth_deg, strict=True)}
    if outcome.doa is None:  # the data set has no true azimuths
        return {"azimuths_deg": each}
    true = {clip.id: float(clip.azimuth_deg) for clip in clips}
    return {"doa": doa_summary(outcome.doa), "azimuths_deg": each, "true_azimuths_deg": true}


def doa_summary(errors: Errors) -> dict[str, Any]:
    """Return the errors as plain JSON, with shares of n for the two counts."""
    return {
        "n": errors.n,
        "mae_deg": errors.mae_deg,
        "below_2_5_deg": errors.below_2_5 / errors.n,
        "up_to_5_deg": errors.up_to_5 / errors.n,
    }


def _by_clip(clips: list[Any], values: NDArray[np.int64]) -> dict[str, int]:
    return {clip.id: int(value) for clip, value in zip(clips, values, strict=True)}


def _title(recipe: Recipe, result: dict[str, Any]) -> str:
    return f"{recipe.name}, {result['dataset']} ({result['protocol']})"
