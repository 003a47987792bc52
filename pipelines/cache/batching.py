"""Decoded sources as batches of tensors on the device: one rate, one shape, one sensor a batch."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from pipelines.cache.source_reader import Decoded, Reading, Refused
from pipelines.readers.events import EventBatch, Events
from pipelines.signal.resample import resample

BATCH = 64
# values in a batch; a video's or an array's clips are large
BATCH_VALUES = 1 << 25


class DecodedBatch(NamedTuple):
    """What a feature's `extract` takes, with the names and hashes of its sources."""

    names: list[str]
    data: Any
    content: np.ndarray
    look: np.ndarray


def batches(
    found: Iterable[Decoded | Refused],
    reading: Reading,
    *,
    sample_rate: int,
    refused: dict[str, str],
    device: torch.device,
    notices: Counter[str] | None = None,
) -> Iterator[DecodedBatch]:
    """Group neighbours of one kind into batches on the device, sounds at sample_rate Hz.

    refused: receives the reason of each source that could not be decoded. notices: receives how
    often each notice was given.
    """
    group: list[Decoded] = []
    for item in found:
        if isinstance(item, Refused):
            refused[item.name] = item.reason
            continue
        if notices is not None:
            notices.update(item.notices)
        full = len(group) == BATCH or sum(map(_values, group)) + _values(item) > BATCH_VALUES
        if group and (item.kind != group[0].kind or full):
            yield _batch(group, reading, sample_rate, device)
            group = []
        group.append(item)
    if group:
        yield _batch(group, reading, sample_rate, device)


def _values(item: Decoded) -> int:
    return len(item.data.t_us) if isinstance(item.data, Events) else int(item.data.size)


def _batch(
    group: Sequence[Decoded], reading: Reading, sample_rate: int, device: torch.device
) -> DecodedBatch:
    arrays = [item.data for item in group]
    data: Tensor | EventBatch
    if reading.reads in ("events", "spikes"):
        data = _event_batch(arrays, device)
    else:
        stacked = torch.from_numpy(np.stack(arrays)).to(device)
        if reading.reads in ("waveform", "microphones"):
            data = _at_rate(stacked, group[0].kind[0], sample_rate, reading.seconds)
        else:
            data = stacked.movedim(-1, -3).contiguous()
    return DecodedBatch(
        [item.name for item in group],
        data,
        np.array([item.content for item in group], np.uint64),
        np.array([item.look for item in group], np.uint64),
    )


def _at_rate(waveforms: Tensor, rate: int, sample_rate: int, seconds: float) -> Tensor:
    """Resample (..., samples) and bring it to exactly seconds * sample_rate samples."""
    samples = round(seconds * sample_rate)
    flat = waveforms.flatten(0, -2)
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
    owner = torch.from_numpy(np.repeat(np.arange(len(counts)), counts)).to(device)
    return EventBatch(
        owner,
        column("t_us"),
        column("x"),
        column("y"),
        column("p"),
        len(counts),
        first.height,
        first.width,
    )
