"""Build a recipe's clips and caches, each once, whatever else is running or was killed."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipelines import registry, store
from pipelines.cache.decoded import audio_batches, image_batches
from pipelines.cache.receipts import is_whole
from pipelines.cache.rows import Rows, write
from pipelines.errors import DataError
from pipelines.plan import CachePlan, DataPlan, extract_arguments
from pipelines.signature import keyword_arguments
from pipelines.sources.clips import SPLITS, Clip, read_clips, shared_sources, write_clips

Say = Callable[[str], None]
Advance = Callable[[str, int, int], None]


def make_clips(plan: DataPlan, raw: Path, say: Say) -> list[Clip]:
    """Read the manifest of a plan, or pair and split the dataset and publish it."""
    with store.lock(plan.clips, wait=True, what=plan.clips.name):
        if plan.clips.exists():
            return read_clips(plan.clips)
        dataset = registry.load("dataset", plan.manifest.name)
        clips: list[Clip] = dataset.pairs(raw, **keyword_arguments(dataset.pairs, plan.data))
        _check_clips(clips, len(plan.manifest.classes))
        write_clips(plan.clips, clips)
        shared = shared_sources(clips)
        counts = {split: sum(clip.split == split for clip in clips) for split in SPLITS}
        store.publish_json(
            plan.clips.with_suffix(".receipt.json"),
            {
                "stage": "clips",
                "made_from": plan.data.model_dump(mode="json"),
                "versions": store.versions(),
                "clips": counts,
                "in_more_than_one_split": shared,
                "sha256": store.sha256(plan.clips),
            },
        )
        say(f"clips: {', '.join(f'{n} {split}' for split, n in counts.items())}")
        found = ", ".join(f"{n} {kind}" for kind, n in shared.items())
        say(f"leak audit: in more than one split: {found}")
        return clips


def _check_clips(clips: list[Clip], classes: int) -> None:
    names = {clip.id for clip in clips}
    if len(names) != len(clips):
        raise DataError("the dataset gives two clips one id", "this is a fault of the dataset")
    for split in SPLITS:
        if not any(clip.split == split for clip in clips):
            raise DataError(f"the split {split!r} has no clips", "check the protocol's settings")
    if any(not 0 <= clip.label < classes for clip in clips):
        raise DataError("a clip's label is not a class of the manifest", "compare the two")


def sources_of(clips: list[Clip], split: str, modality: str) -> list[str]:
    """List the distinct sources of a split, sorted: the rows of its cache."""
    return sorted({getattr(clip, modality) for clip in clips if clip.split == split})


def make_cache(
    plan: CachePlan, dataset_name: str, raw: Path, clips: list[Clip],
    device: torch.device, advance: Advance,
) -> None:  # fmt: skip
    """Build the files of a cache that are not there yet, then its receipt.

    Raises DataError if a file that the receipt knows has another size: nothing is overwritten.
    """
    with store.lock(plan.folder, wait=True, what=f"cache {plan.folder.name}"):
        if is_whole(plan):
            return
        plan.folder.mkdir(parents=True, exist_ok=True)
        files = {}
        for split in SPLITS:
            path = plan.folder / f"{split}.h5"
            store.remove_leftovers(path)
            if not path.exists():
                sources = sources_of(clips, split, plan.modality)
                _write_split(path, plan, dataset_name, raw, sources, device, advance)
            files[path.name] = path
        made_from = {**plan.made_from, "statistics": _statistics(plan.folder / "train.h5")}
        store.receipt(plan.folder, stage="cache", made_from=made_from, files=files)


def _write_split(
    path: Path, plan: CachePlan, dataset_name: str, raw: Path, sources: list[str],
    device: torch.device, advance: Advance,
) -> None:  # fmt: skip
    dataset = registry.load("dataset", dataset_name)
    feature = registry.load("feature", plan.made_from["feature"])
    arguments = extract_arguments(plan)
    if plan.modality == "audio":
        settings: Any = plan.section
        inputs = audio_batches(
            dataset, raw, sources, sample_rate=settings.sample_rate,
            seconds=settings.seconds, device=device,
        )  # fmt: skip
    else:
        inputs = image_batches(dataset, raw, sources, device=device)

    def rows() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        done = 0
        for numbers, batch in inputs:
            features = feature.extract(batch, **arguments)
            if features.is_floating_point():
                features = features.half()
                finite = features.isfinite().flatten(1).all(1).cpu().numpy()
                if not finite.all():
                    bad = sources[int(numbers[~finite][0])]
                    raise DataError(
                        f"{bad}: its {feature.__name__} is not finite", "check the clip"
                    )
            done += len(numbers)
            advance(f"{path.parent.name} {path.stem}", done, len(sources))
            yield numbers, features.cpu().numpy()

    stream = rows()
    first = next(stream)
    attributes = {
        "key": plan.folder.name, "split": path.stem, "unit": feature.UNIT,
        "feature": plan.made_from["feature"], "settings": str(plan.made_from["settings"]),
    }  # fmt: skip
    write(path, sources, first[1].shape[1:], first[1].dtype, itertools.chain([first], stream),
          attributes)  # fmt: skip


def _statistics(path: Path) -> dict[str, list[float]]:
    """Return mean and standard deviation of each channel over the training rows."""
    total, squares, count = 0.0, 0.0, 0
    with Rows(path) as rows:
        for start in range(0, len(rows), 256):
            batch = rows.read(range(start, min(start + 256, len(rows)))).astype(np.float64)
            axes = (0, *range(2, batch.ndim))
            total = total + batch.sum(axes)
            squares = squares + (batch**2).sum(axes)
            count += batch.size // batch.shape[1]
    mean = np.atleast_1d(total / count)
    sd = np.sqrt(np.maximum(np.atleast_1d(squares / count) - mean**2, 0))
    # a channel that never changes is only centred
    return {"mean": mean.tolist(), "sd": np.where(sd > 1e-12, sd, 1.0).tolist()}
