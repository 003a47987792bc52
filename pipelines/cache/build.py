"""Build a feature cache once, whatever other processes run and wherever an earlier one died."""

import contextlib
import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from pipelines import device as machine
from pipelines import registry
from pipelines.cache import excluded_share, reuse
from pipelines.cache.batching import batches
from pipelines.cache.receipts import is_whole
from pipelines.cache.rows import Block, Rows, write
from pipelines.cache.source_reader import Reading
from pipelines.cache.workers import decode_all, worker_count
from pipelines.clips.clips import SPLITS, Clip
from pipelines.disk import seal, store
from pipelines.errors import DataError
from pipelines.plan.data_plan import CachePlan, DataPlan
from pipelines.plan.plan import extract_arguments

Say = Callable[[str], None]
Advance = Callable[[str, int, int], None]
Check = Callable[[], None]


def sources_of(clips: list[Clip], split: str, modality: str) -> list[str]:
    """List the distinct sources of a split, sorted: the rows of its cache."""
    return sorted({getattr(clip, modality) for clip in clips if clip.split == split} - {""})


def make_cache(
    cache: CachePlan,
    plan: DataPlan,
    clips: list[Clip],
    device: torch.device,
    workers: int | None,
    advance: Advance,
    say: Say,
    unchanged: Check,
) -> None:
    """Build the files of a cache that are not there yet, then its receipt.

    unchanged: raises DataError if the files that were read are no longer those of the plan; the
    cache is removed then. Raises DataError if a file has another size than in its receipt, and
    overwrites nothing.
    """
    memory = machine.memory_errors(
        f"in preparing {cache.folder.name}", "fewer runtime.num_workers, or shorter audio.seconds"
    )
    with (
        store.lock(cache.folder, waiting=say, what=f"cache {cache.folder.name}"),
        memory,
        _nothing_left(cache.folder),
    ):
        if is_whole(cache):  # another process built it while this one waited for the lock
            return
        cache.folder.mkdir(parents=True, exist_ok=True)
        sources = {split: sources_of(clips, split, cache.modality) for split in SPLITS}
        total = sum(map(len, sources.values()))
        files, refused, notices = {}, dict[str, str](), Counter[str]()
        for split in SPLITS:
            path = cache.folder / f"{split}.h5"
            store.remove_leftovers(path)
            # splits are published whole: one that a killed process finished is not built again
            if not path.exists():
                _write_split(
                    path,
                    cache,
                    plan,
                    sources[split],
                    refused,
                    notices,
                    total,
                    device,
                    workers,
                    advance,
                )
            files[path.name] = path
        # after the last source was read and before the receipt, without which nothing is used
        try:
            unchanged()
        except DataError:
            store.remove(cache.folder)
            raise
        leak_audit = reuse.audit({split: cache.folder / f"{split}.h5" for split in SPLITS})
        made_from = {**cache.made_from, "statistics": _statistics(cache.folder / "train.h5")}
        excluded = reuse.not_cached(sources, files, refused)
        seal.receipt(
            cache.folder,
            artefact=cache.folder.name,
            stage="cache",
            made_from=made_from,
            files=files,
            more={
                "excluded": excluded,
                "leak_audit": leak_audit,
                "content_sha256": reuse.content_sha256(files),
                "clips_sha256": store.sha256_once(plan.clips),
            },
        )
        excluded_share.report(excluded, total, say)
        for text, count in notices.most_common():
            say(f"notice: {count} of {total} {cache.modality} sources: {text}")
        for line in reuse.sentences(leak_audit, cache.modality):
            say(line)


@contextlib.contextmanager
def _nothing_left(folder: Path) -> Iterator[None]:
    """Remove the folder if an error ends the block and nothing was finished in it."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(
            OSError
        ):  # not empty: a finished split, which the next attempt uses
            folder.rmdir()
        raise


def _write_split(
    path: Path,
    cache: CachePlan,
    plan: DataPlan,
    sources: list[str],
    refused: dict[str, str],
    notices: Counter[str],
    total: int,
    device: torch.device,
    workers: int | None,
    advance: Advance,
) -> None:
    feature = registry.load_module("feature", cache.made_from["feature"])
    arguments = extract_arguments(cache)
    seconds = getattr(cache.section, "seconds", 0.0)
    read_settings = {name: arguments[name] for name in getattr(feature, "READ_SETTINGS", ())}
    reading = Reading(plan.manifest.name, plan.raw, feature.READS, seconds, read_settings)
    inputs = batches(
        decode_all(reading, sources, worker_count(workers)),
        reading,
        sample_rate=getattr(cache.section, "sample_rate", 0),
        refused=refused,
        device=device,
        notices=notices,
    )

    def blocks() -> Iterator[Block]:
        done = 0
        for names, data, content, look in inputs:
            features = feature.extract(data, **arguments)
            if features.is_floating_point():
                features = features.half()
            # after the cast: float16 overflows above 65504
            finite, varied = _finite(features), _varied(features)
            good = finite & varied
            for number in np.flatnonzero(~good):
                fault = "has one value everywhere" if finite[number] else "is not finite"
                refused[names[number]] = f"its feature {fault}"
            # at every batch: a data set that is wrong as a whole stops in seconds, not hours
            excluded_share.check(refused, total, plan)
            done += len(names)
            advance(f"{path.parent.name} {path.stem}", done, len(sources))
            kept = [name for name, fine in zip(names, good, strict=True) if fine]
            yield Block(kept, features.cpu().numpy()[good], content[good], look[good])
        excluded_share.check(refused, total, plan)

    # the first block gives the shape and type that the file is created with
    stream = blocks()
    first = next(stream, None)
    if first is None:
        hint = "check that the files open" if plan.is_local else "avsnn download --check"
        raise DataError(f"{path.stem}: no clip of it can be used", hint)
    attributes = {
        "key": cache.folder.name,
        "split": path.stem,
        "unit": feature.UNIT,
        "feature": cache.made_from["feature"],
        "settings": str(cache.made_from["settings"]),
    }
    write(
        path,
        len(sources),
        first.rows.shape[1:],
        first.rows.dtype,
        itertools.chain([first], stream),
        attributes,
    )


def _finite(rows: torch.Tensor) -> np.ndarray:
    """Return for each row whether all its numbers are finite: (b, ...) to (b,) bool."""
    finite: np.ndarray = rows.isfinite().flatten(1).all(1).cpu().numpy()
    return finite


def _varied(rows: torch.Tensor) -> np.ndarray:
    """Return for each row whether some channel varies over space or time.

    rows: (b, [T,] C, H, W). Returns (b,) bool. A row in which every channel is constant carries no
    information about its clip. A row with a single value a channel counts as varied.
    """
    channels = rows.movedim(-3, 1).flatten(2)
    if channels.shape[2] == 1:
        return np.ones(len(rows), bool)
    varied: np.ndarray = (channels != channels[..., :1]).flatten(1).any(1).cpu().numpy()
    return varied


def _statistics(path: Path) -> dict[str, list[float]]:
    """Return mean and standard deviation of each channel over the training rows.

    Rows are (C, H, W), or (T, C, H, W).
    """
    # in float64 and 256 rows at a time: sums of float16 lose digits, and a split may exceed memory
    total, squares, count = 0.0, 0.0, 0
    with Rows(path) as rows:
        for start in range(0, len(rows), 256):
            batch = rows.read(range(start, min(start + 256, len(rows)))).astype(np.float64)
            axes = tuple(axis for axis in range(batch.ndim) if axis != batch.ndim - 3)
            total = total + batch.sum(axes)
            squares = squares + (batch**2).sum(axes)
            count += batch.size // batch.shape[-3]
    mean = np.atleast_1d(total / count)
    # E[x²] - E[x]² may fall below 0 by rounding
    sd = np.sqrt(np.maximum(np.atleast_1d(squares / count) - mean**2, 0))
    # a constant channel is only centred: its sd of 0 would divide by zero
    return {"mean": mean.tolist(), "sd": np.where(sd > 1e-12, sd, 1.0).tolist()}
