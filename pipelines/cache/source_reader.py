"""Decode one source to an array, in any thread; imports no torch.

A source that cannot be decoded is returned as Refused with the reason: one bad file among many
thousand is counted, and does not end the preparation.
"""

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from pipelines import registry
from pipelines.errors import DataError
from pipelines.readers.events import Events
from pipelines.readers.notices import collected_notices
from pipelines.readers.sound import check_levels, fit_length, to_mono

Array = np.ndarray

PIXELS = 1 << 16  # compared at a time
CANCELLED = 1e-6  # power of the channels' mean, over the mean of their powers: -60 dB


@dataclass(frozen=True)
class Reading:
    """The data set, the kind of input and the settings that sources are decoded with.

    reads: "waveform", "microphones", "image", "video", "events" or "spikes". seconds: of sounds.
    settings: of the feature, for the dataset's reader.
    """

    dataset: str
    raw: Path
    reads: str
    seconds: float
    settings: Mapping[str, Any]


class Decoded(NamedTuple):
    """A decoded source. Sources of one `kind` can be in one batch.

    data: (samples,) or (M, samples) float32; (H, W, C) or (k, H, W, C) uint8; or Events.
    kind: sampling rate in Hz and channels, the shape, or the sensor. content, look: see
    cache.rows.Block. notices: of its reader.
    """

    name: str
    data: Any
    kind: tuple[int, ...]
    content: int
    look: int
    notices: tuple[str, ...] = ()


class Refused(NamedTuple):
    """A source that cannot be used, and why."""

    name: str
    reason: str


def decode(reading: Reading, source: str) -> Decoded | Refused:
    """Decode a source by its dataset's own reader."""
    dataset = _module(reading.dataset)
    try:
        with collected_notices() as notices:
            decoded = READERS[reading.reads](dataset, reading, source)
        return decoded._replace(notices=tuple(notices))
    except DataError as error:
        return Refused(source, error.message)
    except OSError as error:  # a folder without permission, a failing disk
        reason = f"cannot be read: {error.strerror or error}"
        return Refused(source, f"{error.filename or source}: {reason}")


@lru_cache(8)
def _module(dataset: str) -> ModuleType:
    """Load a data set's module, once: looking for its file takes as long as a short sound."""
    return registry.load_module("dataset", dataset)


def _sound(dataset: ModuleType, reading: Reading, source: str) -> Decoded:
    waveform, rate = dataset.audio(reading.raw, source)
    check_levels(source, waveform)
    used = fit_length(waveform, round(reading.seconds * rate))
    data = to_mono(used) if reading.reads == "waveform" else used
    _check_heard(source, used, data, min(waveform.shape[1], used.shape[1]))
    return Decoded(source, data, (rate, len(waveform)), content_hash(data), 0)


def _check_heard(source: str, used: Array, data: Array, samples: int) -> None:
    """Raise DataError if the samples before the padding are silent.

    used: (channels, padded samples). data: the same, or (padded samples,) mixed to mono.
    """
    heard = data[..., :samples]
    # channels of opposite sign are loud each, and silence in their mean
    if data.ndim == 1 and len(used) > 1:
        power, mixed = float(np.square(used).mean()), float(np.square(data).mean())
        if mixed < CANCELLED * power:
            raise DataError(
                f"{source}: its {len(used)} channels cancel each other out: their mean is silence",
                "invert one of them, or keep one",
            )
    # a constant level is silence too: a microphone's offset
    if not heard.size or (heard == heard[..., :1]).all():
        raise DataError(
            f"{source}: silent in all of the {samples} samples that are used",
            "leave the clip out, or see audio.seconds",
        )


def _picture(dataset: ModuleType, reading: Reading, source: str) -> Decoded:
    if reading.reads == "image":
        data, ndim = dataset.image(reading.raw, source), 3
    else:
        data, ndim = dataset.video(reading.raw, source, **reading.settings), 4
    if data.ndim != ndim or data.dtype != np.uint8 or 0 in data.shape:
        raise DataError(f"{source}: not an image of 8-bit levels", "leave it out")
    if _is_of_one_colour(data):
        raise DataError(f"{source}: nothing but one colour", "leave the clip out")
    first = data if ndim == 3 else data[0]
    return Decoded(source, data, data.shape, content_hash(data), look_hash(first))


def _is_of_one_colour(data: Array) -> bool:
    """Check whether all pixels of (..., C) are equal, PIXELS at a time to bound the memory."""
    pixels = data.reshape(-1, data.shape[-1])
    pieces = range(0, len(pixels), PIXELS)
    return all((pixels[start : start + PIXELS] == pixels[0]).all() for start in pieces)


def _events(dataset: ModuleType, reading: Reading, source: str) -> Decoded:
    read = dataset.events if reading.reads == "events" else dataset.spikes
    events: Events = read(reading.raw, source)
    content = content_hash(events.t_us, events.x, events.y, events.p)
    return Decoded(source, events, (events.height, events.width), content, 0)


READERS: dict[str, Callable[[ModuleType, Reading, str], Decoded]] = {
    "waveform": _sound,
    "microphones": _sound,
    "image": _picture,
    "video": _picture,
    "events": _events,
    "spikes": _events,
}


def content_hash(*arrays: Array) -> int:
    """Return a 64-bit hash of decoded values, equal for equal values under any name or format.

    CRC-32 and Adler-32 side by side take a sixth of SHA-256's time. No one gains by two sources
    with one hash, so it need not be cryptographic.
    """
    crc, adler = 0, 1
    for array in arrays:
        values = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        # the shape too: transposed or reshaped values are another input
        for part in (str(array.shape).encode(), values.data):
            crc, adler = zlib.crc32(part, crc), zlib.adler32(part, adler)
    return crc << 32 | adler


def look_hash(image: Array) -> int:
    """Return an image's 64-bit difference hash, equal for a rescaled or recoded copy.

    image: (H, W, C) uint8. On an 8 x 9 grid of block means of the grey level, a bit is 1 where a
    block is brighter than its right neighbour. An image of one grey level gives 0, which stands for
    no hash. Source: N. Krawetz, "Kind of Like That", 2013 (dHash).
    """
    height, width = image.shape[:2]
    rows = np.linspace(0, height, 9).astype(int)[:-1]
    columns = np.linspace(0, width, 10).astype(int)[:-1]
    heights = np.maximum(np.diff(np.append(rows, height)), 1)
    widths = np.maximum(np.diff(np.append(columns, width)), 1)
    # a row of blocks at a time: grey levels in float64 take eight times the bytes of a channel
    totals = np.stack(
        [
            np.add.reduceat(image[top : top + tall].mean(2), [0], axis=0)[0]
            for top, tall in zip(rows, heights, strict=True)
        ]
    )
    sums = np.add.reduceat(totals, columns, axis=1)
    means = sums / heights[:, None] / widths
    bits = (means[:, :-1] > means[:, 1:]).ravel()
    return int.from_bytes(np.packbits(bits).tobytes(), "big")
