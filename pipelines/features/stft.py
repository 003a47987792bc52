"""Log-magnitude short-time Fourier spectrogram, linear in frequency (the S-CMRL audio input)."""

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from pipelines.features._sizes import Side

if TYPE_CHECKING:
    from torch import Tensor

MODALITY = "audio"
READS = "waveform"
VERSION = 1
UNIT = "ln of amplitude"


def extract(
    waveform: "Tensor",
    *,
    n_fft: Annotated[
        int,
        Field(
            ge=16,
            le=65536,
            description="Length of a window in samples; also the length of its FFT.",
        ),
    ] = 512,
    hop: Annotated[
        int, Field(ge=1, le=65536, description="Distance from one window to the next in samples.")
    ] = 353,
    clamp: Annotated[bool, Field(description="Clip the waveform at full scale, ±1.")] = True,
    log_floor: Annotated[
        float,
        Field(gt=0, le=1, description="Amplitude that is added before the logarithm is taken."),
    ] = 1e-7,
    size: Annotated[
        tuple[Side, Side] | None,
        Field(
            description="Rows (frequency) and columns (time) that a spectrogram is resized "
            "to; null keeps all."
        ),
    ] = (128, 128),
) -> "Tensor":
    """Compute ln(|S| + log_floor), S with a periodic Hann window and zeros beyond both ends.

    waveform: (B, samples) float32, full scale ±1. Returns (B, 1, H, W) float32: rows from 0 Hz up,
    columns in time, 1 + samples // hop of them before resizing (bilinear, antialiased).
    Silence is ln(1e-7) = -16.118. Source: S-CMRL's audio front end (STFT 512/353), in the details
    of its authors' code.
    """
    import torch  # here: reading a recipe needs this file, not torch
    import torchaudio
    from torch.nn import functional

    if clamp:  # resampling and float files may go beyond full scale
        waveform = waveform.clamp(-1, 1)
    magnitude = torchaudio.functional.spectrogram(
        waveform,
        pad=0,
        window=torch.hann_window(n_fft, device=waveform.device),
        n_fft=n_fft,
        hop_length=hop,
        win_length=n_fft,
        power=1.0,
        normalized=False,
        pad_mode="constant",
    )
    # the floor is added, not a limit, as in the authors' code: quiet bins keep their order
    levels: Tensor = magnitude.add_(log_floor).log_()[:, None]
    if size is None:
        return levels
    return functional.interpolate(
        levels, size=size, mode="bilinear", align_corners=False, antialias=True
    )
