"""One source to an array, in whatever thread; imports no torch.

A source that cannot be decoded comes back as a refusal with its reason: one bad file among many
thousand is counted, not the end of a night's work.
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

PIXELS = 1 << 16
CANCELLED = 1e-6  # of the channels' power is left of their mean: 60 dB below what it was


@dataclass(frozen=True)
class Reading:
    """What to read and how, in plain values.

    reads: "waveform", "microphones", "image", "video", "events" or "spikes". seconds: of sounds.
    settings: of the feature, for the dataset's reader.
    """

    dataset: str
    raw: Path
    reads: str
    seconds: float
    settings: Mapping[str, Any]


class Decoded(NamedTuple):
    """A decoded source. Those of one `kind` can stand in one batch.

    data: (samples,) or (M, samples) float32; (H, W, C) or (k, H, W, C) uint8; or Events.
    kind: sampling rate in Hz and channels, the shape, or the sensor. content, look: see
    cache.rows.Block. notices: what its reader had to say.
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
            found = READERS[reading.reads](dataset, reading, source)
        return found._replace(notices=tuple(notices))
    except DataError as error:
        return Refused(source, error.message)
    except OSError as error:  # a folder that may not be entered, a disk that fails
        reason = f"cannot be read: {error.strerror or error}"
        return Refused(source, f"{error.filename or source}: {reason}")


@lru_cache(8)
def _module(dataset: str) -> ModuleType:
    """Load a data set's module; looking for its file takes as long as reading a short sound."""
    return registry.load("dataset", dataset)


def _sound(dataset: ModuleType, reading: Reading, source: str) -> Decoded:
    waveform, rate = dataset.audio(reading.raw, source)
    check_levels(source, waveform)
    used = fit_length(waveform, round(reading.seconds * rate))
    data = to_mono(used) if reading.reads == "waveform" else used
    _check_heard(source, used, data, min(waveform.shape[1], used.shape[1]))
    return Decoded(source, data, (rate, len(waveform)), content_hash(data), 0)


def _check_heard(source: str, used: Array, data: Array, samples: int) -> None:
    """Raise DataError where nothing is left to be heard in the samples that are not padding."""
    heard = data[..., :samples]
    if data.ndim == 1 and len(used) > 1:
        power, mixed = float(np.square(used).mean()), float(np.square(data).mean())
        if mixed < CANCELLED * power:
            raise DataError(
                f"{source}: its {len(used)} channels cancel each other out: their mean is silence",
                "invert one of them, or keep one",
            )
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
    """Say whether all pixels (..., C) are equal; a few at a time, for pictures are large."""
    pixels = data.reshape(-1, data.shape[-1])
    pieces = range(0, len(pixels), PIXELS)
    return all((pixels[start : start + PIXELS] == pixels[0]).all() for start in pieces)


def _events(dataset: ModuleType, reading: Reading, source: str) -> Decoded:
    read = dataset.events if reading.reads == "events" else dataset.spikes
    found: Events = read(reading.raw, source)
    content = content_hash(found.t_us, found.x, found.y, found.p)
    return Decoded(source, found, (found.height, found.width), content, 0)


READERS: dict[str, Callable[[ModuleType, Reading, str], Decoded]] = {
    "waveform": _sound,
    "microphones": _sound,
    "image": _picture,
    "video": _picture,
    "events": _events,
    "spikes": _events,
}


def content_hash(*arrays: Array) -> int:
    """Hash what is used of a source: equal for equal values, whatever its name or wrapping.

    CRC-32 and Adler-32 side by side: a sixth of SHA-256's time, and nobody is to be kept from
    making two equal ones.
    """
    crc, adler = 0, 1
    for array in arrays:
        values = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        for part in (str(array.shape).encode(), values.data):
            crc, adler = zlib.crc32(part, crc), zlib.adler32(part, adler)
    return crc << 32 | adler


def look_hash(image: Array) -> int:
    """Hash how an image looks: its difference hash, 64 bits, equal for a rescaled or recoded copy.

    image: (H, W, C) uint8. Bit by bit: is the grey level of the left one of two neighbours above
    the right one, on an 8 x 9 grid of block means? An image of one level gives 0: no look.
    Source: N. Krawetz, "Kind of Like That", 2013 (dHash).
    """
    height, width = image.shape[:2]
    rows = np.linspace(0, height, 9).astype(int)[:-1]
    columns = np.linspace(0, width, 10).astype(int)[:-1]
    heights = np.maximum(np.diff(np.append(rows, height)), 1)
    widths = np.maximum(np.diff(np.append(columns, width)), 1)
    # a row of blocks at a time: the grey levels take eight times the picture's bytes
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
