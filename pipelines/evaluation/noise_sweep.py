"""The noise curve: accuracy on the test set over signal-to-noise ratio (S-CMRL Eq. 19, Fig. 6).

White Gaussian noise is added to the input: to the waveform before the feature, to the image before
it is normalised. The generator is seeded by (seed, clip, modality, ratio), so no level depends on
another.
"""

import csv
import io
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipelines import registry
from pipelines.clips.clips import Clip
from pipelines.disk import store
from pipelines.errors import UsageError
from pipelines.evaluation.evaluate import doa_summary
from pipelines.evaluation.noise_examples import (
    MOST_LEVELS,
    Reading,
    Rows,
    draw_examples,
    unscaled,
)
from pipelines.evaluation.trained_run import TrainedRun
from pipelines.figures.noise_plot import NoiseCurve, draw_noise
from pipelines.figures.plot_style import write
from pipelines.plan.data_plan import DataPlan
from pipelines.recipe.noise import Noise
from pipelines.recipe.recipe import Recipe
from pipelines.results import run_files, schemas
from pipelines.results.metrics import wilson_interval
from pipelines.results.noise_files import ending, noise_result
from pipelines.signal.noise import add_noise, noise_keys
from pipelines.training.batches import Batch, evenly
from pipelines.training.infer import Predictions
from pipelines.training.inputs import Inputs

Advance = Callable[[str, int, int], None]
Prepared = tuple[Tensor | None, Tensor | None]  # audio, visual


def noise_sweep(
    recipe: Recipe, plan: DataPlan, run: Path, noise: Noise, device: torch.device, advance: Advance
) -> dict[str, Any]:
    """Evaluate a trained run clean and at each ratio. Publishes JSON, CSV and pictures.

    Raises UsageError if the run has no input of the modality that noise is asked for.
    """
    opened = TrainedRun.open(recipe, plan, run, device)
    split, inputs = opened.split, opened.inputs
    on_audio = noise.modality != "visual" and "audio" in split.caches
    on_visual = noise.modality != "audio" and "visual" in split.caches
    if not (on_audio or on_visual):
        raise UsageError(
            f"{run.name} has no {noise.modality} input to add noise to",
            f"--modality {next(iter(split.caches))}",
        )
    waveforms = inputs.waveforms(split.caches["audio"]) if on_audio else None
    # the clean point first: the others are read against it
    points = []
    levels = noise.snr_db.levels()
    noisy = partial(
        _noisy,
        inputs=inputs,
        clips=split.clips,
        noise=noise,
        waveforms=waveforms,
        on_visual=on_visual,
    )
    for done, snr_db in enumerate([None, *levels]):
        prepare = partial(noisy, snr_db=snr_db)
        points.append({"snr_db": snr_db, **scored(opened.predict(prepare))})
        advance("noise", done + 1, len(levels) + 1)
    result = {
        **opened.provenance(len(split)),
        "noise": noise.model_dump(mode="json"),
        "noisy_inputs": [m for m, on in (("audio", on_audio), ("visual", on_visual)) if on],
        "points": points,
    }
    stem = run / noise_result(noise)
    first = next(iter(opened.batches([np.array([0])])))
    publish_examples(stem, levels, lambda level: noisy(first, snr_db=level), inputs, split.clips[0])
    return _publish(stem, result, recipe, len(plan.manifest.classes))


def scored(predictions: Predictions) -> dict[str, Any]:
    """Return a point of a sweep: accuracy, its 95 % Wilson interval, azimuth errors."""
    n = len(predictions.labels)
    correct = int((predictions.labels == predictions.predictions).sum())
    low, high = wilson_interval(correct, n)
    point = {"accuracy": correct / n, "correct": correct, "wilson_low": low, "wilson_high": high}
    if predictions.doa is not None:
        shares = doa_summary(predictions.doa)
        point |= {f"doa_{name}": value for name, value in shares.items() if name != "n"}
    return point


def publish_examples(
    stem: Path,
    levels: list[float],
    prepare: Callable[[float | None], Prepared],
    inputs: Inputs,
    clip: Clip,
    name: Callable[[float], str] = "{:g} dB".format,
) -> None:
    """Draw the inputs of one clip, clean and at some of the levels.

    prepare: returns a batch with that clip first, at a level. name: formats a level in few signs.
    """
    chosen = [*(levels[i] for i in evenly(len(levels), MOST_LEVELS)), None]
    rows: Rows = {}
    for level in chosen:
        for modality, x in zip(("audio", "visual"), prepare(level), strict=True):
            if x is not None:
                rows.setdefault(modality, []).append(unscaled(x, inputs.scales[modality]))
    sections = {"audio": inputs.recipe.audio, "visual": inputs.recipe.visual}
    features = {
        modality: registry.load_module("feature", section.feature)
        for modality, section in sections.items()
        if section is not None
    }
    readings = {modality: Reading(f.READS, f.UNIT) for modality, f in features.items()}
    title = f"{inputs.plan.manifest.classes[clip.label]}: {clip.id}"
    figure = draw_examples(chosen, rows, readings, title=title, name=name)
    write(figure, ending(stem, "-examples.png"))


def _noisy(
    batch: Batch,
    *,
    inputs: Inputs,
    clips: list[Clip],
    snr_db: float | None,
    noise: Noise,
    waveforms: Tensor | None,
    on_visual: bool,
) -> Prepared:
    """Prepare a batch with noise at one ratio; None is clean."""
    if snr_db is None:
        return inputs.for_evaluation(batch)
    names = [clips[number].id for number in batch.numbers.tolist()]

    def with_noise(x: Tensor, modality: str) -> Tensor:
        return add_noise(x, snr_db, noise_keys(noise.seed, names, modality, snr_db), noise.power)

    if waveforms is not None:
        # not on the cached feature: the ratio of Eq. 19 is that of the waveform
        assert batch.audio_rows is not None
        clean = waveforms[batch.audio_rows]
        batch = batch._replace(
            audio=inputs.extract_noisy(clean, partial(with_noise, modality="audio"))
        )
    return inputs.for_evaluation(
        batch, partial(with_noise, modality="visual") if on_visual else None
    )


def curve(result: dict[str, Any], label: str, classes: int, level: str = "snr_db") -> NoiseCurve:
    """Return the curve of a sweep with its Wilson bands. level: the key of the level in a point."""
    clean, *noisy = result["points"]
    return NoiseCurve(
        label=label,
        snr_db=[point[level] for point in noisy],
        accuracy=[point["accuracy"] for point in noisy],
        low=[point["wilson_low"] for point in noisy],
        high=[point["wilson_high"] for point in noisy],
        clean=clean["accuracy"],
        chance=1 / classes,
    )


def publish_table(stem: Path, points: list[dict[str, Any]]) -> None:
    """Write the points of a sweep as CSV, one row for each level."""
    table = io.StringIO()
    writer = csv.DictWriter(table, fieldnames=list(points[0]))
    writer.writeheader()
    writer.writerows(points)
    store.publish_text(ending(stem, ".csv"), table.getvalue())


def _publish(stem: Path, result: dict[str, Any], recipe: Recipe, classes: int) -> dict[str, Any]:
    """Write a sweep's table, picture and JSON; returns the content as a hit reads it."""
    # the JSON last: a stage is done when it is there
    publish_table(stem, result["points"])
    inputs = " and ".join(result["noisy_inputs"])
    title = f"White noise on {inputs}, {result['dataset']} test (n = {result['n']})"
    label = recipe.name.rpartition("/")[2]
    write(draw_noise([curve(result, label, classes)], title), ending(stem, ".png"))
    return run_files.publish(ending(stem, ".json"), schemas.NoiseSweep, result)
