"""The noise curve of event data: accuracy over the share of events lost or the rate of noise.

The noise is added to the raw recordings of the test split, which are decoded once and kept in
memory (13 bytes an event). The feature of the cached frames then computes new frames. The generator
is seeded by (seed, clip, modality, kind, level), so no level depends on another.
"""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipelines import registry
from pipelines.cache.recordings import Recordings, inputs_of_events
from pipelines.errors import UsageError
from pipelines.evaluation.noise_sweep import (
    Advance,
    Prepared,
    curve,
    publish_examples,
    publish_table,
    scored,
)
from pipelines.evaluation.trained_run import TrainedRun
from pipelines.figures.noise_plot import draw_noise, event_axis
from pipelines.figures.plot_style import write
from pipelines.plan.data_plan import DataPlan
from pipelines.recipe.noise import EventNoise
from pipelines.recipe.recipe import Recipe
from pipelines.results import run_files, schemas
from pipelines.results.noise_files import ending, noise_result
from pipelines.signal.event_noise import event_noise_seed, with_event_noise
from pipelines.training.batches import Batch, Split
from pipelines.training.inputs import Inputs

TITLES = {"drop": "Events dropped from", "rate": "Noise events added to"}


def event_noise_sweep(
    recipe: Recipe,
    plan: DataPlan,
    run: Path,
    noise: EventNoise,
    device: torch.device,
    advance: Advance,
) -> dict[str, Any]:
    """Evaluate a trained run clean and at each level. Publishes JSON, CSV and pictures.

    Raises UsageError if none of the inputs that noise is asked for is made of events.
    """
    chosen = _noisy_inputs(plan, run, noise)
    opened = TrainedRun.open(recipe, plan, run, device)
    split, inputs = opened.split, opened.inputs
    workers = recipe.runtime.num_workers
    recordings = {name: Recordings(plan, name, split.caches[name], workers) for name in chosen}
    noisy = partial(_noisy, inputs=inputs, split=split, noise=noise, recordings=recordings)
    levels, points = noise.levels(), []
    for done, level in enumerate([None, *levels]):
        prepare = partial(noisy, level=level)
        points.append({"level": level, **scored(opened.predict(prepare))})
        advance("noise", done + 1, len(levels) + 1)
    result = {
        **opened.provenance(len(split)),
        "noise": noise.model_dump(mode="json"),
        "unit": noise.unit,
        "noisy_inputs": chosen,
        "points": points,
    }
    stem = run / noise_result(noise)
    first = next(iter(opened.batches([np.array([0])])))
    publish_examples(
        stem,
        levels,
        lambda level: noisy(first, level=level),
        inputs,
        split.clips[0],
        name=f"{noise.kind} {{:g}}".format,
    )
    publish_table(stem, points)
    title = (
        f"{TITLES[noise.kind]} {' and '.join(chosen)}, {result['dataset']} test (n = {len(split)})"
    )
    label = recipe.name.rpartition("/")[2]
    drawn = curve(result, label, len(plan.manifest.classes), level="level")
    write(draw_noise([drawn], title, event_axis(noise.kind)), ending(stem, ".png"))
    return run_files.publish(ending(stem, ".json"), schemas.EventNoiseSweep, result)


def _noisy_inputs(plan: DataPlan, run: Path, noise: EventNoise) -> list[str]:
    reads = {
        modality: registry.load_module("feature", cache.made_from["feature"]).READS
        for modality, cache in plan.caches.items()
    }
    events = inputs_of_events(plan)
    chosen = [modality for modality in events if noise.modality in (modality, "both")]
    if not chosen:
        which = "" if noise.modality == "both" else f"{noise.modality} "
        raise UsageError(
            f"{run.name} has no {which}input that is made of events: "
            + ", ".join(f"{modality} is made of {kind}" for modality, kind in reads.items()),
            f"--modality {events[0]}" if events else "avsnn noise-eval RUN --snr 0:30:5",
        )
    return chosen


def _noisy(
    batch: Batch,
    *,
    inputs: Inputs,
    split: Split,
    noise: EventNoise,
    level: float | None,
    recordings: dict[str, Recordings],
) -> Prepared:
    """Prepare a batch with the frames of noisy recordings at one level; None is clean."""
    if level is None:
        return inputs.for_evaluation(batch)
    clips = [split.clips[number].id for number in batch.numbers.tolist()]
    for modality, clean in recordings.items():
        rows = split.rows[modality][batch.numbers.cpu().numpy()].tolist()
        changes = [
            partial(
                with_event_noise,
                kind=noise.kind,
                level=level,
                seed=event_noise_seed(noise.seed, clip, modality, noise.kind, level),
            )
            for clip in clips
        ]
        frames = clean.frames(rows, changes, inputs.device)
        cached = batch.audio if modality == "audio" else batch.visual
        assert cached is not None
        # rounded as the cache rounds, so that nothing but the noise differs from the clean point
        batch = batch._replace(**{modality: frames.to(cached.dtype)})
    return inputs.for_evaluation(batch)
