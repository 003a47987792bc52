"""Log-mel spectrogram, in decibels or natural logarithm (librosa's conventions)."""

import math
import warnings
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from pipelines.errors import UsageError
from pipelines.features._sizes import Side

if TYPE_CHECKING:
    from torch import Tensor

MODALITY = "audio"
READS = "waveform"
VERSION = 1
UNIT = "dB or ln of power"

POWER_FLOOR = 1e-10  # librosa's amin: -100 dB
MelScale = Literal["slaney", "htk"]
FilterNorm = Literal["slaney", "none"]


def extract(
    waveform: "Tensor",
    *,
    sample_rate: Annotated[
        int, Field(ge=1, le=384_000, description="Sampling rate of the waveform in Hz.")
    ],
    n_fft: Annotated[
        int,
        Field(
            ge=16,
            le=65536,
            description="Length of a window in samples; also the length of its FFT.",
        ),
    ] = 1024,
    hop: Annotated[
        int, Field(ge=1, le=65536, description="Distance from one window to the next in samples.")
    ] = 256,
    n_mels: Annotated[int, Field(ge=1, le=1024, description="Number of mel bands.")] = 64,
    f_min: Annotated[
        float, Field(ge=0, description="Lower edge of the lowest mel band in Hz.")
    ] = 0.0,
    f_max: Annotated[
        float | None,
        Field(
            gt=0,
            description="Upper edge of the highest mel band in Hz; null is half the sampling rate.",
        ),
    ] = None,
    mel_scale: Annotated[
        MelScale, Field(description="Formula by which the mel bands are spaced.")
    ] = "slaney",
    norm: Annotated[
        FilterNorm,
        Field(
            description="Norm of the mel filters: slaney gives every band the same area, "
            "none the same height."
        ),
    ] = "slaney",
    log: Annotated[
        Literal["db", "ln"],
        Field(description="Logarithm of the power: db is decibels, ln the natural logarithm."),
    ] = "db",
    top_db: Annotated[
        float | None,
        Field(
            gt=0,
            description="Dynamic range in dB below the clip's peak, to which quieter values "
            "are raised; only with db, null for no limit.",
        ),
    ] = 80.0,
    size: Annotated[
        tuple[Side, Side] | None,
        Field(
            description="Rows (bands) and columns (time) that a spectrogram is resized to; "
            "null keeps all."
        ),
    ] = None,
) -> "Tensor":
    """Compute the logarithm of the mel bands' power, floored at 1e-10.

    waveform: (B, samples) float32. Returns (B, 1, n_mels, 1 + samples // hop) float32, bands from
    low to high, or (B, 1, *size). Raises UsageError where a band is so narrow that no bin of the
    FFT falls into it, or where the band edges make no range below half the rate.
    Source: librosa's melspectrogram (zeros beyond both ends) and power_to_db with ref=1.
    """
    import torch  # here: reading a recipe needs this file, not torch
    import torchaudio
    from torch.nn import functional

    upper_hz = sample_rate / 2 if f_max is None else f_max
    filters = mel_filters(sample_rate, n_fft, n_mels, f_min, upper_hz, mel_scale, norm)
    spectrum = torchaudio.functional.spectrogram(
        waveform,
        pad=0,
        window=torch.hann_window(n_fft, device=waveform.device),
        n_fft=n_fft,
        hop_length=hop,
        win_length=n_fft,
        power=None,
        normalized=False,
        pad_mode="constant",
    )
    # torchaudio's own power=2 takes the root first and squares it again, at twice the time
    power = spectrum.real.square() + spectrum.imag.square()
    bands = filters.to(waveform.device).T @ power  # (B, n_mels, frames)
    levels: Tensor = bands.clamp_(min=POWER_FLOOR).log_()[:, None]
    if log == "db":
        levels = levels * (10 / math.log(10))
        if top_db is not None:
            # of each clip's own peak, so that a clip does not depend on its batch
            levels = levels.maximum(levels.amax(dim=(1, 2, 3), keepdim=True) - top_db)
    if size is None:
        return levels
    return functional.interpolate(
        levels, size=size, mode="bilinear", align_corners=False, antialias=True
    )


# the filters do not change from batch to batch; callers move them and must not write to them
@lru_cache(maxsize=8)
def mel_filters(
    sample_rate: int,
    n_fft: int,
    n_mels: int,
    f_min: float,
    f_max: float,
    mel_scale: MelScale,
    norm: FilterNorm,
) -> "Tensor":
    """Make the triangular mel filters, (n_fft // 2 + 1, n_mels) on the CPU; frequencies in Hz.

    Raises UsageError where a filter is empty or the frequencies make no range.
    """
    import torchaudio

    if not f_min < f_max <= sample_rate / 2:
        raise UsageError(
            f"no mel bands from {f_min:g} to {f_max:g} Hz at a sampling rate of {sample_rate} Hz",
            "choose f_min < f_max, and f_max at most half of sample_rate",
        )
    with warnings.catch_warnings():
        # torchaudio warns about empty filters; here they are an error, with a hint, below
        warnings.simplefilter("ignore", UserWarning)
        filters: Tensor = torchaudio.functional.melscale_fbanks(
            n_freqs=n_fft // 2 + 1,
            f_min=f_min,
            f_max=f_max,
            n_mels=n_mels,
            sample_rate=sample_rate,
            norm=None if norm == "none" else norm,
            mel_scale=mel_scale,
        )
    empty = int((filters.amax(dim=0) <= 0).sum())
    if empty:
        raise UsageError(
            f"{empty} of {n_mels} mel bands are empty: narrower than a bin of n_fft {n_fft}",
            "use fewer n_mels or a larger n_fft",
        )
    return filters
