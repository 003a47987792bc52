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
from torch import Tensor

from pipelines import registry
from pipelines.cache.batching import batches as device_batches
from pipelines.cache.rows import Rows
from pipelines.cache.source_reader import Decoded, Reading, Refused
from pipelines.cache.workers import decode_all, worker_count
from pipelines.errors import DataError, UsageError
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
from pipelines.plan.plan import extract_arguments
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


class Recordings:
    """The recordings that the rows of a cache were computed from, in the order of the rows."""

    def __init__(self, plan: DataPlan, modality: str, rows: Rows, workers: int | None) -> None:
        """Decode the recordings.

        Raises DataError for a source that has changed since the cache was built, or that can no
        longer be decoded.
        """
        cache = plan.caches[modality]
        self._feature = registry.load("feature", cache.made_from["feature"])
        self._arguments = extract_arguments(cache)
        self._reading = Reading(plan.manifest.name, plan.raw, self._feature.READS, 0.0, {})
        self._recordings: list[Decoded] = []
        sources = decode_all(self._reading, rows.sources, worker_count(workers))
        for source, content in zip(sources, rows.content.tolist(), strict=True):
            if isinstance(source, Refused):
                hint = f"avsnn download {plan.manifest.name}"
                raise DataError(f"cannot decode {source.name}: {source.reason}", hint)
            # else the noisy point and the clean one would be of different recordings
            if source.content != content:
                raise DataError(
                    f"{source.name} has changed since {cache.folder.name} was built from it",
                    "run the command again, or restore the file",
                )
            self._recordings.append(source)

    def noisy_frames(
        self,
        rows: list[int],
        noise: EventNoise,
        level: float,
        seeds: list[int],
        device: torch.device,
    ) -> Tensor:
        """Return the feature of some rows with noise: (B, T, C, H, W). seeds: one for each row."""
        noisy = (
            self._recordings[row]._replace(
                data=with_event_noise(self._recordings[row].data, noise.kind, level, seed)
            )
            for row, seed in zip(rows, seeds, strict=True)
        )
        parts = device_batches(noisy, self._reading, sample_rate=0, refused={}, device=device)
        return torch.cat([self._feature.extract(part.data, **self._arguments) for part in parts])


def _noisy_inputs(plan: DataPlan, run: Path, noise: EventNoise) -> list[str]:
    reads = {
        modality: registry.load("feature", cache.made_from["feature"]).READS
        for modality, cache in plan.caches.items()
    }
    events = [modality for modality, kind in reads.items() if kind in ("events", "spikes")]
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
        seeds = [event_noise_seed(noise.seed, clip, modality, noise.kind, level) for clip in clips]
        frames = clean.noisy_frames(rows, noise, level, seeds, inputs.device)
        cached = batch.audio if modality == "audio" else batch.visual
        assert cached is not None
        # rounded as the cache rounds, so that nothing but the noise differs from the clean point
        batch = batch._replace(**{modality: frames.to(cached.dtype)})
    return inputs.for_evaluation(batch)
