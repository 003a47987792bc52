"""Delay signals by any fraction of a sample, exactly for band-limited ones."""

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import UsageError

Array = NDArray[np.float64]


def delayed(signal: Array, delays: Array, gains: Array | None = None, margin: int = 512) -> Array:
    """Delay one signal by each of several delays: (samples,), (M,) to (M, samples).

    delays: in samples, at most `margin` either way. gains: (M,) amplitudes; None is 1. The
    signal is zero before and after: what a delay moves beyond either end is cut off, so leave as
    much silence there. Every frequency below half the rate keeps its amplitude and is delayed by
    exactly d: X(f) exp(-2 pi i f d). The ripple of a sudden end reaches `margin` samples.
    Raises UsageError for a delay beyond the margin.
    """
    if np.abs(delays).max() > margin:
        raise UsageError(f"a delay of {np.abs(delays).max():g} samples, at most {margin}", "")
    # zeros for twice the margin: the transform is circular, and neither end may reach the other
    length = len(signal) + 2 * margin
    spectrum = np.fft.rfft(signal, length)
    turns = np.outer(delays, np.fft.rfftfreq(length))
    if gains is not None:
        spectrum = spectrum * gains[:, None]
    moved: Array = np.fft.irfft(spectrum * np.exp(-2j * np.pi * turns), length, axis=-1)
    return moved[:, : len(signal)]
