"""Group decoded sources into batches on the device: one rate, one shape, one sensor a batch."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from pipelines.cache.source_reader import Decoded, Reading, Refused
from pipelines.readers.events import EventBatch, Events
from pipelines.signal.resample import resample

BATCH_SOURCES = 64
# bounds the memory: 64 clips of video or of a microphone array would not fit
BATCH_VALUES = 1 << 25


class DecodedBatch(NamedTuple):
    """The input of a feature's `extract`, with the names and hashes of its sources.

    data: (b, ...) tensor on the device, or an EventBatch of b recordings. content, look: (b,)
    uint64, see cache.rows.Block.
    """

    names: list[str]
    data: Any
    content: np.ndarray
    look: np.ndarray


def batches(
    sources: Iterable[Decoded | Refused],
    reading: Reading,
    *,
    sample_rate: int,
    refused: dict[str, str],
    device: torch.device,
    notices: Counter[str] | None = None,
) -> Iterator[DecodedBatch]:
    """Group neighbours of one kind into batches on the device, sounds at sample_rate Hz.

    refused: receives the reason of each source that could not be decoded. notices: receives how
    often each notice occurred.
    """
    group: list[Decoded] = []
    for source in sources:
        if isinstance(source, Refused):
            refused[source.name] = source.reason
            continue
        if notices is not None:
            notices.update(source.notices)
        # neighbours only: the rows of a cache keep the order of its sources
        values = sum(map(_values, group)) + _values(source)
        is_full = len(group) == BATCH_SOURCES or values > BATCH_VALUES
        if group and (is_full or source.kind != group[0].kind):
            yield _batch(group, reading, sample_rate, device)
            group = []
        group.append(source)
    if group:
        yield _batch(group, reading, sample_rate, device)


def _values(source: Decoded) -> int:
    data = source.data
    return len(data.t_us) if isinstance(data, Events) else int(data.size)


def _batch(
    group: Sequence[Decoded], reading: Reading, sample_rate: int, device: torch.device
) -> DecodedBatch:
    arrays = [source.data for source in group]
    data: Tensor | EventBatch
    if reading.reads in ("events", "spikes"):
        data = _event_batch(arrays, device)
    else:
        stacked = torch.from_numpy(np.stack(arrays)).to(device)
        if reading.reads in ("waveform", "microphones"):
            data = _at_rate(stacked, group[0].kind[0], sample_rate, reading.seconds)
        else:
            data = stacked.movedim(-1, -3).contiguous()  # (..., H, W, C) to (..., C, H, W)
    return DecodedBatch(
        [source.name for source in group],
        data,
        np.array([source.content for source in group], np.uint64),
        np.array([source.look for source in group], np.uint64),
    )


def _at_rate(waveforms: Tensor, rate: int, sample_rate: int, seconds: float) -> Tensor:
    """Resample (..., samples) and bring it to exactly seconds * sample_rate samples."""
    samples = round(seconds * sample_rate)
    flat = waveforms.flatten(0, -2)
    # the length at the other rate was rounded: after resampling it may be a few samples off
    exact = resample(flat, rate, sample_rate)[:, :samples]
    if exact.shape[1] < samples:
        exact = torch.nn.functional.pad(exact, (0, samples - exact.shape[1]))
    return exact.view(*waveforms.shape[:-1], samples)


def _event_batch(recordings: Sequence[Events], device: torch.device) -> EventBatch:
    counts = [len(events.t_us) for events in recordings]

    def column(name: str) -> Tensor:
        joined = np.concatenate([getattr(events, name) for events in recordings])
        return torch.from_numpy(joined.astype(np.int64)).to(device)

    first = recordings[0]
    # the events of all recordings lie one after the other; owner tells them apart
    owner = torch.from_numpy(np.repeat(np.arange(len(counts)), counts)).to(device)
    t_us, x, y, p = (column(name) for name in ("t_us", "x", "y", "p"))
    return EventBatch(owner, t_us, x, y, p, len(counts), first.height, first.width)
