"""Phase-transform correlations of all pairs and log-mel bands of all microphones, stacked."""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from pipelines.features import gcc_phat, logmel

if TYPE_CHECKING:
    from torch import Tensor

MODALITY = "audio"
READS = "microphones"
VERSION = 1
UNIT = "correlation, -1 to 1, then dB of power"


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
        int,
        Field(
            ge=1,
            le=512,
            description="Longest lag in samples; 25 gives 51 lags and as many mel bands.",
        ),
    ] = 25,
    f_min: Annotated[
        float, Field(ge=0, description="Lower edge of the lowest mel band in Hz.")
    ] = 250.0,
    f_max: Annotated[
        float, Field(gt=0, description="Upper edge of the highest mel band in Hz.")
    ] = 8000.0,
    scale: Annotated[
        Literal["none", "frame-minmax"],
        Field(
            description="Scale of the values: none keeps them, frame-minmax maps each "
            "frame's correlations, and its bands, to 0 to 1."
        ),
    ] = "none",
) -> "Tensor":
    """Compute gcc_phat and logmel of the same windows, with as many mel bands as lags.

    waveforms: (B, M, samples) float32. Returns (B, M (M - 1) / 2 + M, 2 max_lag + 1,
    1 + samples // hop) float32: first the pairs in gcc_phat's order, then the microphones. Bands
    go from low to high and end 80 dB below each microphone's loudest. Windows have an even number
    of samples: both features then centre them on the same sample. Raises UsageError as both do.
    Source: SpikSLC-Net: 51 lags, 51 bands from 250 to 8,000 Hz, 64 ms, 16 kHz; "frame-minmax" is
    of SLCnet's code (see `frame_minmax`), where frames of digital silence are 0.
    """
    import torch  # here: reading a recipe needs this file, not torch

    # even, so that gcc_phat's n // 2 padding and logmel's centring agree on a window's middle
    window = 2 * max(8, round(window_s * sample_rate / 2))
    hop = max(1, round(hop_s * sample_rate))
    correlations = gcc_phat.extract(
        waveforms,
        sample_rate=sample_rate,
        window_s=window / sample_rate,
        hop_s=hop / sample_rate,
        max_lag=max_lag,
    )
    # each microphone is a clip of its own: (B M, 1, bins, F)
    bands = logmel.extract(
        waveforms.flatten(0, 1),
        sample_rate=sample_rate,
        n_fft=window,
        hop=hop,
        n_mels=2 * max_lag + 1,
        f_min=f_min,
        f_max=f_max,
    )
    bands = bands.view(*waveforms.shape[:2], *bands.shape[2:])
    if scale == "frame-minmax":
        # without a sound the bands are at each microphone's own floor, which carries nothing
        heard = (correlations != 0).any(2, keepdim=True).any(1, keepdim=True)
        bands = frame_minmax(bands).where(heard, 0.0)
        # the two parts apart: their units differ, and dB would leave correlations no range
        correlations = frame_minmax(correlations)
    return torch.cat((correlations, bands), 1)


def frame_minmax(x: "Tensor") -> "Tensor":
    """Scale each frame's values to [0, 1] by their least and greatest: (B, C, bins, F), as is x.

    The values of a frame are those of all C and bins. What is exactly 0 stays 0, and a frame whose
    values are all alike becomes 0. Source: the SLoClas authors' code, on each GCC and MFCC part.
    """
    least, most = x.amin((1, 2), keepdim=True), x.amax((1, 2), keepdim=True)
    span = most - least
    scaled = (x - least) / span.where(span > 0, 1.0)
    # 0 is silence and padding, not the middle of a range
    return scaled.where(x != 0, 0.0)
