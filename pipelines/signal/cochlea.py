"""A model of a silicon cochlea: a bank of gammatone filters that each drive a neuron.

Half-wave rectified, integrate-and-fire without leak: a twin for tests and first steps.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pipelines.readers.events import Events

FILTER_SECONDS = 0.064  # by then the lowest filter that is used has died away
FFT_STEP = 512  # lengths are multiples, so that clips of like length share the cached spectra


def centre_frequencies(channels: int, low_hz: float, high_hz: float) -> NDArray[np.float64]:
    """Return (channels,) Hz, evenly spaced in ERB numbers (Glasberg & Moore 1990, Eq. 4)."""
    low, high = (21.4 * float(np.log10(1 + 0.00437 * hz)) for hz in (low_hz, high_hz))
    numbers = np.linspace(low, high, channels)
    hz: NDArray[np.float64] = (10 ** (numbers / 21.4) - 1) / 0.00437
    return hz


def gammatones(rate_hz: int, centres_hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the impulse responses (channels, taps), t³ exp(-2π·1.019·ERB(f) t) cos(2πf t).

    ERB(f) = 24.7 (1 + 0.00437 f) Hz. The gain at the centre frequency is 1.
    Source: Patterson et al. 1992; Glasberg & Moore 1990, Eq. 3.
    """
    time_s = np.arange(round(FILTER_SECONDS * rate_hz)) / rate_hz
    hz = centres_hz[:, None]
    envelope = time_s**3 * np.exp(-2 * np.pi * 1.019 * 24.7 * (1 + 0.00437 * hz) * time_s)
    response = envelope * np.cos(2 * np.pi * hz * time_s)
    # |H| at the centre: the filter's response to exp(2πi f t)
    gain = np.abs((response * np.exp(-2j * np.pi * hz * time_s)).sum(1))
    normalised: NDArray[np.float64] = response / gain[:, None]
    return normalised


def cochlea_spikes(
    waveform: NDArray[np.float32],
    rate_hz: int,
    *,
    channels: int = 64,
    low_hz: float = 100.0,
    high_hz: float = 3500.0,
    spikes_per_second: float = 4000.0,
    floor: float = 0.001,
) -> Events:
    """Turn a sound into spikes: events of height 1 whose x is the channel, from low to high.

    waveform: (samples,), full scale ±1. Each channel integrates max(filtered - floor, 0), where
    1 held for a second is `spikes_per_second` spikes, so that a tone of amplitude A at a centre
    frequency gives spikes_per_second · A/π a second with floor 0. Silence gives none.
    """
    samples = len(waveform)
    taps = round(FILTER_SECONDS * rate_hz)
    length = -(-(samples + taps - 1) // FFT_STEP) * FFT_STEP
    spectra = _spectra(rate_hz, channels, low_hz, high_hz, length)
    filtered = np.fft.irfft(np.fft.rfft(waveform, length) * spectra, length)[:, :samples]
    drive = np.maximum(filtered - np.float32(floor), 0)
    # without a leak a neuron fires where the integral passes a whole number: no loop over time
    integral = np.cumsum(drive, axis=1)
    integral *= np.float32(spikes_per_second / rate_hz)
    before = np.zeros_like(integral)
    before[:, 1:] = integral[:, :-1]
    count = integral.astype(np.int32) - before.astype(np.int32)
    channel, sample = np.nonzero(count)
    number = count[channel, sample]
    # one row for each spike: a sample may hold several, at equal steps of the integral
    which = np.repeat(np.arange(len(number)), number)
    nth = np.arange(len(which)) - np.repeat(np.cumsum(number) - number, number) + 1
    channel, sample = channel[which], sample[which]
    start, end = before[channel, sample], integral[channel, sample]
    # within the sample the integral is linear, and so is the time of each crossing
    share = (np.trunc(start) + nth - start) / (end - start)
    t_us = np.rint((sample + share) * (1e6 / rate_hz)).astype(np.int64)
    # by time and then by channel: an order that does not depend on the sort
    order = np.lexsort((channel, t_us))
    nothing = np.zeros(len(order), np.int16)
    return Events(
        t_us[order],
        channel[order].astype(np.int16),
        nothing,
        nothing.astype(np.uint8),
        1,
        channels,
    )


@lru_cache(8)
def _spectra(
    rate_hz: int, channels: int, low_hz: float, high_hz: float, length: int
) -> NDArray[np.complex64]:
    bank = gammatones(rate_hz, centre_frequencies(channels, low_hz, high_hz))
    return np.fft.rfft(bank, length).astype(np.complex64)
