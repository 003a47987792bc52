"""Turn cached rows into the network's inputs: crop, noise, normalise; augment in training.

Everything random is a pure function of (seed, epoch, clip), so it is the same on every device,
for every number of workers, and after a resume.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipelines import registry
from pipelines.cache.batching import batches
from pipelines.cache.receipts import cache_receipt, open_rows
from pipelines.cache.rows import Rows
from pipelines.cache.source_reader import Reading
from pipelines.cache.workers import decode_all, worker_count
from pipelines.errors import DataError, UsageError
from pipelines.plan.data_plan import DataPlan
from pipelines.plan.plan import extract_arguments
from pipelines.recipe.recipe import Recipe
from pipelines.signal import counter_rng, crops
from pipelines.signal.noise import add_noise
from pipelines.training.batches import Batch
from pipelines.training.event_augmentation import EventAugmentation
from pipelines.training.scale import scale_of

CHOOSE, LEVEL = 201, 202  # streams of the random numbers, apart from those in pipelines.signal

AddNoise = Callable[[Tensor], Tensor]


class Inputs:
    """Prepares batches for one recipe on one device."""

    def __init__(self, recipe: Recipe, plan: DataPlan, device: torch.device) -> None:
        self.recipe, self.plan, self.device = recipe, plan, device
        self.scales = {}
        for modality, cache in plan.caches.items():
            measured = cache_receipt(cache).made_from.statistics
            self.scales[modality] = scale_of(cache.section, measured, device)
        self._waveforms: Tensor | None = None
        self._vary_events = EventAugmentation(recipe, plan, device)

    def for_training(self, batch: Batch, epoch: int) -> tuple[Tensor | None, Tensor | None]:
        """Augment and normalise: (audio, visual), None where a modality is not used.

        Each is (B, C, H, W), or (T, B, C, H, W) where it changes over time: one crop, one mirror
        and one noise level a clip, the same at all T.
        """
        keys = counter_rng.keys(self.recipe.seed, epoch, batch.numbers)
        augment, visual_settings = self.recipe.train.augment, self.recipe.visual
        if augment.events.varies():
            batch = self._vary_events(batch, epoch)
        audio, visual, steps = batch.audio, *_folded(batch.visual)
        noisy, levels = None, None
        if augment.noise_snr_db is not None:
            low, high = augment.noise_snr_db
            noisy = counter_rng.uniform(keys, 1, CHOOSE)[:, 0] < augment.noise_probability
            levels = low + (high - low) * counter_rng.uniform(keys, 1, LEVEL)[:, 0]
        if audio is not None:
            if noisy is not None and levels is not None and bool(noisy.any()):
                audio = self._with_noise(batch, audio, noisy, levels, keys)
            if augment.time_shift > 0 and audio.dim() == 4:
                audio = crops.time_shift(audio.float(), augment.time_shift, keys)
            audio = self._shaped(self.scales["audio"](audio))
        if visual is not None and visual_settings is not None:
            if visual_settings.crop == "random":
                visual = crops.random_crop(visual, visual_settings.size, keys)
            elif visual_settings.crop != "none":
                smooth = visual_settings.crop == "resized-antialiased"
                visual = crops.resized_crop(visual, visual_settings.size, keys, antialias=smooth)
            else:
                visual = crops.centre_crop(visual, visual_settings.size)
            if visual_settings.flip:
                visual = crops.flip(visual, keys)
            visual = visual.float()
            if noisy is not None and levels is not None:
                # other keys than the sound's: the two noises are independent
                dirty = add_noise(visual, levels, keys ^ 1)
                visual = torch.where(noisy[:, None, None, None], dirty, visual)
            visual = self._shaped(self.scales["visual"](_unfolded(visual, steps)))
        return audio, visual

    def for_evaluation(
        self, batch: Batch, image_noise: AddNoise | None = None
    ) -> tuple[Tensor | None, Tensor | None]:
        """Crop the centre and normalise; image_noise acts on levels or counts before that."""
        audio, visual, steps = batch.audio, *_folded(batch.visual)
        if audio is not None:
            audio = self._shaped(self.scales["audio"](audio))
        if visual is not None and self.recipe.visual is not None:
            visual = crops.centre_crop(visual, self.recipe.visual.size).float()
            if image_noise is not None:
                visual = image_noise(visual)
            visual = self._shaped(self.scales["visual"](_unfolded(visual, steps)))
        return audio, visual

    def extract_noisy(self, waveforms: Tensor, noise: AddNoise) -> Tensor:
        """Compute the recipe's audio feature of waveforms with noise on them, as it is cached.

        waveforms: (B, [M,] samples), clean, at the recipe's sample rate. A feature that cuts its
        input off at full scale does so before the noise: cut off with it, a loud clip asked at
        0 dB would have less noise than its ratio says.
        """
        cache = self.plan.caches["audio"]
        feature = registry.load_module("feature", cache.made_from["feature"])
        arguments = extract_arguments(cache)
        if arguments.get("clamp"):
            waveforms, arguments["clamp"] = waveforms.clamp(-1, 1), False
        features: Tensor = feature.extract(noise(waveforms), **arguments)
        return features.half()

    def waveforms(self, rows: Rows) -> Tensor:
        """Decode a cache's sources at the recipe's rate and length: (n, [M,] samples).

        On the device. Raises UsageError where the audio input is no waveform, DataError for a
        source that is not what it was when the cache was built, or can no longer be decoded.
        """
        cache = self.plan.caches["audio"]
        feature = registry.load_module("feature", cache.made_from["feature"])
        if feature.READS not in ("waveform", "microphones"):
            raise UsageError(
                f"{cache.made_from['feature']} is not made from a waveform that noise could be "
                "put on",
                "--modality visual",
            )
        settings: Any = self.recipe.audio
        reading = Reading(
            self.plan.manifest.name, self.plan.raw, feature.READS, settings.seconds, {}
        )
        workers = worker_count(self.recipe.runtime.num_workers)
        refused: dict[str, str] = {}
        decoded = batches(
            decode_all(reading, rows.sources, workers),
            reading,
            sample_rate=settings.sample_rate,
            refused=refused,
            device=self.device,
        )
        parts, content = list[Tensor](), list[np.ndarray]()
        for batch in decoded:
            parts.append(batch.data)
            content.append(batch.content)
        for source, reason in refused.items():
            raise DataError(f"{source}: {reason}", f"avsnn download {self.plan.manifest.name}")
        # a changed file would give a noisy feature of another sound than the clean one's
        changed = np.flatnonzero(np.concatenate(content) != rows.content)
        if len(changed):
            first = rows.sources[changed[0]]
            raise DataError(
                f"{first}: has changed since {cache.folder.name} was made of it, "
                f"as {len(changed)} of {len(rows.sources)} have",
                "run the command again, or bring back the files",
            )
        return torch.cat(parts)

    def _with_noise(
        self, batch: Batch, audio: Tensor, noisy: Tensor, levels: Tensor, keys: Tensor
    ) -> Tensor:
        """Recompute the feature of the noisy clips from their waveforms (Eq. 19)."""
        if self._waveforms is None:
            with open_rows(self.plan.caches["audio"], "train") as rows:
                self._waveforms = self.waveforms(rows)
        assert batch.audio_rows is not None
        clean = self._waveforms[batch.audio_rows[noisy]]
        audio = audio.clone()
        noise = partial(add_noise, snr_db=levels[noisy], keys=keys[noisy])
        audio[noisy] = self.extract_noisy(clean, noise)
        return audio

    def _shaped(self, x: Tensor) -> Tensor:
        """Lay out (B, C, H, W) in memory, or turn (B, T, C, H, W) to (T, B, C, H, W)."""
        last = wants_channels_last(self.recipe)
        layout = torch.channels_last if last else torch.contiguous_format
        if x.dim() == 4:
            return x.contiguous(memory_format=layout)
        frames = x.transpose(0, 1).flatten(0, 1).contiguous(memory_format=layout)
        return torch.unflatten(frames, 0, (x.shape[1], -1))


def _folded(x: Tensor | None) -> tuple[Tensor | None, int]:
    """Fold (B, T, C, H, W) to (B, T*C, H, W), so that all T are cropped alike; T is 0 if none."""
    if x is None or x.dim() == 4:
        return x, 0
    return x.flatten(1, 2), x.shape[1]


def _unfolded(x: Tensor, steps: int) -> Tensor:
    return torch.unflatten(x, 1, (steps, -1)) if steps else x


def wants_channels_last(recipe: Recipe) -> bool:
    """Return whether the recipe asks for channels_last, which "auto" is on every device."""
    return recipe.train.memory_format in ("auto", "channels_last")
