"""Microphone arrays: positions, arrival times of a sound, and the direction that it came from.

Metres, seconds and degrees. Azimuth counts anticlockwise from the x axis, seen from above;
elevation up from the horizontal plane. The time difference of a pair (i, j) is the arrival at j
less the arrival at i: positive where j hears later. Pairs come in the order (0, 1), (0, 2), …
"""

from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipelines.errors import DataError, UsageError

Array = NDArray[np.float64]

SPEED_OF_SOUND_M_S = 343.0  # in dry air at 20 °C
SILENCE = 1e-12  # keeps a division by a magnitude of 0 finite


def pairs_of(microphones: int) -> list[tuple[int, int]]:
    """List the pairs of microphones, in the order that every feature and array here keeps."""
    return list(combinations(range(microphones), 2))


def circle(microphones: int, radius_m: float, first_deg: float = 0.0) -> Array:
    """Place microphones evenly on a horizontal circle, anticlockwise: (M, 3) metres."""
    angles = np.deg2rad(first_deg + 360.0 * np.arange(microphones) / microphones)
    return np.stack([np.cos(angles), np.sin(angles), np.zeros(microphones)], 1) * radius_m


# The corners of a square of 45.7 mm, as github.com/BrownsugarZeer/Multi_SSL (MIT) has them for the
# ReSpeaker Mic Array v2.0: the recordings that we test with are that project's.
RESPEAKER_V2 = circle(4, 0.02285 * 2**0.5, first_deg=45.0)


def direction(azimuth_deg: ArrayLike, elevation_deg: ArrayLike = 0.0) -> Array:
    """Return the unit vectors that point to sources: (..., 3)."""
    azimuth, elevation = np.broadcast_arrays(np.deg2rad(azimuth_deg), np.deg2rad(elevation_deg))
    level = np.cos(elevation)
    return np.stack([level * np.cos(azimuth), level * np.sin(azimuth), np.sin(elevation)], -1)


def far_field_delays(
    positions: Array, azimuth_deg: ArrayLike, elevation_deg: ArrayLike = 0.0
) -> Array:
    """Return when a plane wave arrives, relative to when it passes the origin: (..., M) s.

    positions: (M, 3) m.
    """
    delays: Array = direction(azimuth_deg, elevation_deg) @ positions.T / -SPEED_OF_SOUND_M_S
    return delays


def spherical_delays(positions: Array, source: Array) -> tuple[Array, Array]:
    """Return when and how loud a point source arrives, relative to the origin: (M,) s, (M,).

    positions: (M, 3) m. source: (3,) m. Amplitude falls as 1 / distance.
    Raises UsageError where a microphone or the origin is within 1 mm of the source.
    """
    distances, reference = np.linalg.norm(positions - source, axis=1), np.linalg.norm(source)
    if min(distances.min(), reference) < 1e-3:
        raise UsageError("the source is at a microphone or at the array's centre", "move it away")
    return (distances - reference) / SPEED_OF_SOUND_M_S, reference / distances


def time_differences(delays: Array) -> Array:
    """Turn arrival times (..., M) into the time differences of all pairs: (..., pairs)."""
    first, second = np.array(pairs_of(delays.shape[-1])).T
    return delays[..., second] - delays[..., first]


def peak_lags(gcc: Array) -> Array:
    """Return the lag of the highest peak, between samples too: (..., lags) to (...), in samples.

    gcc: a phase transform over lags -L to L, such as gcc_phat gives with lags last. Exact for a
    full-band pulse: at a distance d from its two nearest samples, sinc falls as 1 / d. A peak at
    the end of the range is returned as it is.
    """
    most = gcc.shape[-1] - 1
    peak = gcc.argmax(-1)

    def value(index: NDArray[np.intp]) -> Array:
        chosen: Array = np.take_along_axis(gcc, index[..., None], -1)[..., 0]
        return chosen

    before, after = value(np.maximum(peak - 1, 0)), value(np.minimum(peak + 1, most))
    # top ~ 1/d and larger ~ 1/(1 - d), so d = larger / (top + larger) towards the larger one
    side = np.where(after > before, 1, -1)
    larger, top = np.maximum(np.maximum(before, after), 0.0), np.maximum(value(peak), SILENCE)
    inside = (peak > 0) & (peak < most)
    lags: Array = peak - most // 2 + np.where(inside, side * larger / (top + larger), 0.0)
    return lags


def azimuth_of(differences_s: Array, positions: Array) -> Array:
    """Return the azimuth of a plane wave by least squares: (..., pairs) s to (...) in [0, 360).

    positions: (M, 3) m, not all on one line in the horizontal plane. Raises UsageError if they are.
    """
    first, second = np.array(pairs_of(len(positions))).T
    # in the plane alone, for each pair: c times its time difference is -baseline · direction
    baselines = (positions[second] - positions[first])[:, :2]
    if np.linalg.matrix_rank(baselines) < 2:
        raise UsageError(
            "microphones on one line do not distinguish one side from the other",
            "use an array with a microphone off the line",
        )
    x, y = np.linalg.pinv(baselines) @ np.moveaxis(-SPEED_OF_SOUND_M_S * differences_s, -1, 0)
    azimuth_deg: Array = np.rad2deg(np.arctan2(y, x)) % 360
    return azimuth_deg


def srp_phat(
    waveforms: NDArray[np.floating],
    rate_hz: int,
    positions: Array,
    azimuths_deg: ArrayLike,
    elevation_deg: float = 0.0,
    *,
    window: int = 1024,
    band_hz: tuple[float, float] = (300.0, 6000.0),
) -> Array:
    """Compute the steered response power with phase transform of one recording: (A,).

    waveforms: (M, samples). azimuths_deg: (A,), the directions to steer to. Frames of `window`
    samples, half overlapping; every bin of every frame within 20 dB of the loudest counts alike.
    The source is where the power is highest: azimuths_deg[argmax]. Raises DataError for a recording
    that is shorter than a window, silent, or has another number of channels than the array.
    Source: DiBiase, PhD thesis, Brown University, 2000.
    """
    if len(waveforms) != len(positions):
        raise DataError(f"{len(waveforms)} channels, an array of {len(positions)}", "check both")
    if waveforms.shape[1] < window or not np.any(waveforms):
        raise DataError(f"a recording that is silent or below {window} samples", "use another")
    # (M, frames, window), a view: np.hanning(n + 1)[:-1] below is the periodic window
    frames = np.lib.stride_tricks.sliding_window_view(waveforms, window, 1)[:, :: window // 2]
    spectra = np.fft.rfft(frames * np.hanning(window + 1)[:-1], axis=-1)
    frequencies = np.fft.rfftfreq(window, 1 / rate_hz)
    band = (frequencies >= band_hz[0]) & (frequencies <= band_hz[1])
    spectra, frequencies = spectra[..., band], frequencies[band]
    # quiet frames hold the room's noise, and the phase transform would count it as much
    energy = (np.abs(spectra) ** 2).sum((0, 2))
    spectra = spectra[:, energy >= 0.01 * energy.max()]
    spectra = spectra / np.maximum(np.abs(spectra), SILENCE)
    delays = far_field_delays(positions, azimuths_deg, elevation_deg)
    power = np.zeros(len(delays))  # the sum over pairs of R_ij at each direction's own lag
    for i, j in pairs_of(len(positions)):
        cross = (np.conj(spectra[i]) * spectra[j]).sum(0)
        lags = (delays[:, j] - delays[:, i])[:, None]
        power += (np.exp(2j * np.pi * frequencies * lags) @ cross).real
    return power
