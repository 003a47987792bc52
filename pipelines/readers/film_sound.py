"""Read the waveform of video files, and of other containers that FFmpeg decodes."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import DataError
from pipelines.readers.containers import CONTAINERS, begins_s, decoded, default_track, opened
from pipelines.readers.cut_short import ends_early
from pipelines.readers.hints import REPLACE_CLIP
from pipelines.readers.sound import check_levels, check_rate

MAX_SECONDS = 600.0
MAX_VALUES = 2**28
GAP_S = 0.01  # a shorter gap is the rounding of times, not a pause


def read_sound(path: Path, kinds: str = CONTAINERS) -> tuple[NDArray[np.float32], int]:
    """Decode the default sound of a container: (channels, samples) float32, and the rate in Hz.

    Full scale is ±1. It begins when the film does: where the sound is late, or pauses, there are
    zeros. kinds: as for `opened`. Raises DataError, naming the file, if there is no sound, or it
    cannot be decoded, changes its format half-way, or ends early.
    """
    parts: list[NDArray[np.float32]] = []
    values, formats = 0, set[tuple[int, int]]()
    with opened(path, kinds) as container:
        track = default_track(container, "audio")
        if track is None:
            lacks = "ends early, before any sound" if ends_early(path) else "holds no sound"
            raise DataError(f"{path}: {lacks}", REPLACE_CLIP)
        now_s = begins_s(container)
        for frame in decoded(container, track, path):
            part = _waveform(frame)
            formats.add((len(part), frame.sample_rate))
            gap_s = 0.0 if frame.time is None else frame.time - now_s
            missing = round(gap_s * frame.sample_rate) if gap_s > GAP_S else 0
            now_s += (missing + part.shape[1]) / frame.sample_rate
            # counted before a gap is filled: a hostile time could ask for days of zeros
            values += part.size + missing * len(part)
            if values > MAX_VALUES or values > MAX_SECONDS * frame.sample_rate * len(part):
                raise DataError(f"{path}: its sound is longer than {MAX_SECONDS:g} s", REPLACE_CLIP)
            if missing:
                parts.append(np.zeros((len(part), missing), np.float32))
            parts.append(part)
    if not values or len(formats) != 1:
        raise DataError(f"{path}: its sound is empty or changes its format", REPLACE_CLIP)
    waveform = np.concatenate(parts, axis=1)
    rate_hz = formats.pop()[1]
    check_rate(path, rate_hz)
    check_levels(path, waveform)
    return waveform, rate_hz


def _waveform(frame: Any) -> NDArray[np.float32]:
    """Turn a decoded piece of sound into (channels, samples) float32 with full scale at 1."""
    values: NDArray[Any] = frame.to_ndarray()  # (channels, samples), or (1, samples * channels)
    channels = len(frame.layout.channels)
    if not frame.format.is_planar:
        values = values.reshape(-1, channels).T
    if values.dtype == np.uint8:
        return (values.astype(np.float32) - np.float32(128)) / np.float32(128)
    # whole numbers are scaled by their least one, 2^15 for 16 bits, as libsndfile scales them
    scale = 1.0 if values.dtype.kind == "f" else -float(np.iinfo(values.dtype).min)
    scaled: NDArray[np.float32] = (values / scale).astype(np.float32)
    return scaled
