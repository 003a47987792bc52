"""Training batches with frames of varied recordings, where an input is made of events."""

from functools import partial

import torch

from pipelines.cache.receipts import clips_of
from pipelines.cache.recordings import Recordings, inputs_of_events
from pipelines.plan.data_plan import DataPlan
from pipelines.recipe.recipe import Recipe
from pipelines.signal.event_augment import augmented, event_augment_seed
from pipelines.training.batches import Batch, Split, open_split


class EventAugmentation:
    """Replaces the cached frames of a batch by those of its recordings, varied anew each epoch.

    A pure function of (seed, epoch, clip, modality): a resumed run sees the same frames, and the
    order of the clips does not matter.
    """

    def __init__(self, recipe: Recipe, plan: DataPlan, device: torch.device) -> None:
        self._recipe, self._plan, self._device = recipe, plan, device
        self._split: Split | None = None
        self._recordings: dict[str, Recordings] = {}

    def __call__(self, batch: Batch, epoch: int) -> Batch:
        """Return the batch with other frames, in the cache's type; decodes at the first call."""
        # not in __init__: evaluation prepares its inputs without any of this
        split = self._split = self._split or self._opened()
        amounts, seed = self._recipe.train.augment.events, self._recipe.seed
        numbers = batch.numbers.cpu().numpy()
        clips = [split.clips[number].id for number in numbers]
        for modality, recordings in self._recordings.items():
            changes = [
                partial(
                    augmented,
                    amounts=amounts,
                    seed=event_augment_seed(seed, epoch, clip, modality),
                )
                for clip in clips
            ]
            rows = split.rows[modality][numbers].tolist()
            cached = batch.audio if modality == "audio" else batch.visual
            assert cached is not None
            frames = recordings.frames(rows, changes, self._device).to(cached.dtype)
            batch = batch._replace(**{modality: frames})
        return batch

    def _opened(self) -> Split:
        """Open the training split and decode the recordings of its inputs that are of events."""
        split = open_split(self._plan, clips_of(self._plan), "train")
        workers = self._recipe.runtime.num_workers
        self._recordings = {
            modality: Recordings(self._plan, modality, split.caches[modality], workers)
            for modality in inputs_of_events(self._plan)
        }
        return split
