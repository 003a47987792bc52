"""Cross-correlation with phase transform of all pairs of microphones, over time."""

import math
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from pipelines.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

MODALITY = "audio"
READS = "microphones"
VERSION = 1
UNIT = "correlation, -1 to 1"

CHUNK_BYTES = 32 << 20  # of spectra at once: larger ones leave the processor's cache
CHUNK_BYTES_GPU = 256 << 20
SILENCE = 1e-12  # magnitude below which a bin has no phase


def extract(
    waveforms: "Tensor",
    *,
    sample_rate: Annotated[
        int, Field(ge=1, le=384_000, description="Sampling rate of the waveforms in Hz.")
    ],
    window_s: Annotated[
        float, Field(gt=0, le=4, description="Length of an analysis window in s.")
    ] = 0.064,
    hop_s: Annotated[
        float, Field(gt=0, le=4, description="Distance from one window to the next in s.")
    ] = 0.032,
    max_lag: Annotated[
        int, Field(ge=1, le=4096, description="Longest lag in samples; 25 gives 51 lags.")
    ] = 25,
    floor: Annotated[
        float,
        Field(
            ge=0,
            lt=1,
            description="Amplitude, as a share of a frame's loudest frequency bin, below "
            "which bins count for less.",
        ),
    ] = 1e-5,
) -> "Tensor":
    """Compute R_ij(lag) = mean over bins of the phase of conj(X_i) X_j, at lags -max_lag..max_lag.

    waveforms: (B, M, samples) float32. Returns (B, pairs, 2 max_lag + 1, 1 + samples // hop)
    float32, pairs in the order (0, 1), (0, 2), … A positive lag means that the second microphone
    hears later; row max_lag is lag 0. Windows are Hann, centred at multiples of the hop, with zeros
    beyond both ends, as logmel's. Each spectrum is divided by its magnitude, or by `floor` times
    the frame's largest one where that is more; silence gives zeros, and gain changes nothing.
    Raises UsageError for a single microphone, or lags that do not fit in a window.
    Source: Knapp & Carter, 1976; SpikSLC-Net: 51 lags, 64 ms, 16 kHz.
    """
    import torch  # here: reading a recipe needs this file, not torch
    from scipy.fft import next_fast_len

    batch, microphones, samples = waveforms.shape
    window, hop = round(window_s * sample_rate), max(1, round(hop_s * sample_rate))
    if microphones < 2:
        raise UsageError(
            "gcc_phat compares microphones, and these clips have one channel",
            "choose a data set that is recorded with an array, or another feature",
        )
    if max_lag >= window:
        raise UsageError(
            f"lags of {max_lag} samples do not fit in a window of {window}", "lower max_lag"
        )
    # padded by max_lag, so that no lag wraps round the end of the window
    length = next_fast_len(window + max_lag, real=True)
    frames = 1 + samples // hop
    pairs = [(i, j) for i in range(microphones) for j in range(i + 1, microphones)]
    taper = torch.hann_window(window, device=waveforms.device)
    cosines, sines = _tables(length, max_lag, waveforms)
    out = waveforms.new_empty(batch, len(pairs), 2 * max_lag + 1, frames)
    most = CHUNK_BYTES if waveforms.device.type == "cpu" else CHUNK_BYTES_GPU
    # clips at a time, by the bytes of their spectra
    step = max(1, most // (8 * frames * (length // 2 + 1) * (2 * microphones + 2)))
    for start in range(0, batch, step):
        part = torch.nn.functional.pad(waveforms[start : start + step], (window // 2, window))
        framed = part.unfold(-1, window, hop)[:, :, :frames]
        spectra = torch.fft.rfft(framed * taper, length)
        # (b, M, F, bins); real and imaginary parts apart: complex arithmetic takes twice the time
        re, im = spectra.real.contiguous(), spectra.imag.contiguous()
        power = re.square().addcmul_(im, im)
        least = (floor**2 * power.amax(-1, keepdim=True)).clamp_(min=SILENCE**2)
        scale = power.maximum(least).rsqrt_()
        re, im = re.mul_(scale), im.mul_(scale)
        # R(lag) is the inverse transform of conj(X_i) X_j: cosines of its real part, sines of its
        # imaginary part; the one is even in the lag and the other odd, so one half does for both
        for pair, (i, j) in enumerate(pairs):
            cross_re = (re[:, i] * re[:, j]).addcmul_(im[:, i], im[:, j])
            cross_im = (re[:, i] * im[:, j]).addcmul_(im[:, i], re[:, j], value=-1)
            even = (cross_re @ cosines).transpose(-1, -2)
            odd = (cross_im @ sines).transpose(-1, -2)
            out[start : start + step, pair, max_lag:] = even - odd
            out[start : start + step, pair, : max_lag + 1] = (even + odd).flip(-2)
    return out


def _tables(length: int, max_lag: int, like: "Tensor") -> "tuple[Tensor, Tensor]":
    """Make the inverse transform at lags 0 to max_lag: cosines and sines, (bins, lags) each.

    A transform of all lags would compute 1080 to keep 51. R is 1 where all phases agree.
    """
    import torch

    bins = torch.arange(length // 2 + 1, dtype=torch.float64)
    lags = torch.arange(max_lag + 1, dtype=torch.float64)
    # reduced to one turn in whole numbers before the cosine: exact however long the lag
    angle = (bins[:, None] * lags).remainder(length) * (2 * math.pi / length)
    weight = torch.full((len(bins), 1), 2.0 / length, dtype=torch.float64)
    weight[0] = 1.0 / length
    if length % 2 == 0:
        weight[-1] = 1.0 / length  # half the rate stands once in the whole spectrum, as 0 Hz does
    cosines, sines = weight * angle.cos(), weight * angle.sin()
    return cosines.to(like.device, torch.float32), sines.to(like.device, torch.float32)
