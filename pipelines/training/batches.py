"""The clips of a split as batches on the device: resident if they fit, else streamed."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pipelines import device as machine
from pipelines.cache.class_counts import usable
from pipelines.cache.receipts import open_rows
from pipelines.cache.rows import Rows
from pipelines.clips.clips import Clip
from pipelines.errors import DataError
from pipelines.plan.data_plan import DataPlan
from pipelines.recipe.recipe import Recipe
from pipelines.training.readers import Readers, Request

# share of the free memory that a resident split may take; the rest is for the network
RESIDENT_SHARE = 0.4


class Batch(NamedTuple):
    """Rows as cached, before crops and normalisation; a modality that is not used is None.

    audio: (B, C, H, W), visual: (B, C, H, W), in the cache's type; or (B, T, C, H, W) where the
    input changes over time. labels: (B,) int64. azimuth_deg: (B,) float32, if every clip has one.
    numbers: (B,) int64, the clips' places in the split. audio_rows: (B,) rows of the cache.
    """

    audio: Tensor | None
    visual: Tensor | None
    labels: Tensor
    numbers: Tensor
    audio_rows: Tensor | None
    azimuth_deg: Tensor | None = None


@dataclass(frozen=True)
class Split:
    """Labels, clip names and cache rows of one split, in the order of the manifest."""

    clips: list[Clip]
    labels: np.ndarray
    azimuth_deg: np.ndarray | None
    caches: dict[str, Rows]
    rows: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.clips)


def open_split(plan: DataPlan, clips: Sequence[Clip], name: str) -> Split:
    """Open the caches of one split and find each clip's row in them.

    A clip with a source that could not be used is not in the split.
    """
    chosen = usable([clip for clip in clips if clip.split == name], plan.caches)
    caches = {m: open_rows(cache, name) for m, cache in plan.caches.items()}
    rows = {}
    for modality, cache in caches.items():
        row_of = {source: row for row, source in enumerate(cache.sources)}
        try:
            rows[modality] = np.array([row_of[getattr(clip, modality)] for clip in chosen])
        except KeyError as error:
            raise DataError(
                f"cache {cache.path} has no row {error}", "avsnn prepare RECIPE --force"
            ) from None
    azimuth = None
    if chosen and all(clip.azimuth_deg is not None for clip in chosen):
        azimuth = np.array([clip.azimuth_deg for clip in chosen], np.float32)
    return Split(chosen, np.array([clip.label for clip in chosen]), azimuth, caches, rows)


def training_order(clips: int, batch_size: int, seed: int, epoch: int) -> list[np.ndarray]:
    """Shuffle by (seed, epoch) and cut into batches; a last batch of one clip is left out.

    Batch norm has no variance to take from a single static clip.
    """
    order = np.random.default_rng([seed, epoch]).permutation(clips)
    cut = [order[i : i + batch_size] for i in range(0, clips, batch_size)]
    return cut[:-1] if len(cut) > 1 and len(cut[-1]) == 1 else cut


def evenly(n: int, most: int) -> np.ndarray:
    """Choose at most `most` of n places, evenly spread, the first and the last among them."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(np.int64))


def in_order(clips: int, batch_size: int) -> list[np.ndarray]:
    """Cut the clips into batches in the order of the manifest."""
    return [np.arange(i, min(i + batch_size, clips)) for i in range(0, clips, batch_size)]


def loader(
    split: Split, recipe: Recipe, device: torch.device, readers: Readers | None = None
) -> Callable[[list[np.ndarray]], Iterator[Batch]]:
    """Return a function from lists of clip numbers to batches, resident or streamed.

    readers: the reading processes, if several splits share them.
    """
    needed = sum(
        len(cache) * math.prod(cache.row_shape) * cache.dtype.itemsize
        for cache in split.caches.values()
    )
    wish = recipe.train.data_on_device
    fits = needed <= RESIDENT_SHARE * machine.free_bytes(device)
    if wish == "yes" or (wish == "auto" and fits):
        return _resident(split, device)
    workers = recipe.runtime.num_workers or 0
    return _streamed(split, device, (readers or Readers(workers)) if workers else None)


def _azimuth(split: Split, device: torch.device) -> Tensor | None:
    if split.azimuth_deg is None:
        return None
    return torch.from_numpy(split.azimuth_deg).to(device)


def _resident(split: Split, device: torch.device) -> Callable[[list[np.ndarray]], Iterator[Batch]]:
    tensors = {m: torch.from_numpy(cache.all()).to(device) for m, cache in split.caches.items()}
    rows = {m: torch.from_numpy(numbers).to(device) for m, numbers in split.rows.items()}
    labels = torch.from_numpy(split.labels).to(device)
    azimuth = _azimuth(split, device)

    def batches(order: list[np.ndarray]) -> Iterator[Batch]:
        for chosen in order:
            numbers = torch.from_numpy(chosen).to(device)
            picked = {m: tensor[rows[m][numbers]] for m, tensor in tensors.items()}
            audio_rows = rows["audio"][numbers] if "audio" in rows else None
            yield Batch(
                picked.get("audio"),
                picked.get("visual"),
                labels[numbers],
                numbers,
                audio_rows,
                None if azimuth is None else azimuth[numbers],
            )

    return batches


def _streamed(
    split: Split, device: torch.device, readers: Readers | None
) -> Callable[[list[np.ndarray]], Iterator[Batch]]:
    labels = torch.from_numpy(split.labels).to(device)
    azimuth = _azimuth(split, device)

    def request_of(chosen: np.ndarray) -> Request:
        return [(cache, split.rows[m][chosen]) for m, cache in split.caches.items()]

    def moved(array: np.ndarray) -> Tensor:
        tensor = torch.from_numpy(array)
        # from pinned memory the copy to a GPU runs while the network computes
        pinned = tensor.pin_memory() if device.type == "cuda" else tensor
        return pinned.to(device, non_blocking=True)

    def batches(order: list[np.ndarray]) -> Iterator[Batch]:
        requests = map(request_of, order)
        stream = (
            readers.read(requests)
            if readers is not None
            else ([cache.read(rows.tolist()) for cache, rows in request] for request in requests)
        )
        for chosen, read in zip(order, stream, strict=True):
            numbers = torch.from_numpy(chosen).to(device)
            picked = dict(zip(split.caches, map(moved, read), strict=True))
            rows = split.rows.get("audio")
            audio_rows = None if rows is None else torch.from_numpy(rows[chosen]).to(device)
            yield Batch(
                picked.get("audio"),
                picked.get("visual"),
                labels[numbers],
                numbers,
                audio_rows,
                None if azimuth is None else azimuth[numbers],
            )

    return batches
