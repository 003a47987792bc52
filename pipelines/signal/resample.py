"""Change the sampling rate of a batch of waveforms by way of the Fourier transform.

The spectrum is cut at the lower of the two Nyquist frequencies and read back on the new grid. The
cost does not depend on how the two rates divide, which it does for a polyphase filter bank:
11,024 Hz to 22,050 Hz (both occur in UrbanSound8K) would need some 60 million taps there.
"""

import math

import torch
from torch import Tensor

ROLL_OFF = 0.1  # the top tenth of the band goes down in a half cosine, so that edges ring briefly
GUARD = 1280  # zeros after the end, in samples of the lower rate: room for the ringing to die


def resample(waveform: Tensor, rate_in: int, rate_out: int) -> Tensor:
    """Resample band-limited: (B, n) float32 at rate_in to (B, ceil(n * rate_out / rate_in)).

    rate_in, rate_out: Hz. Flat up to 0.9 of the lower Nyquist frequency, nothing passes above it.
    The waveform counts as zero outside its samples. Runs where the waveform is.
    """
    if rate_in == rate_out:
        return waveform
    samples = waveform.shape[-1]
    divisor = math.gcd(rate_in, rate_out)
    step_in, step_out = rate_in // divisor, rate_out // divisor
    guard = math.ceil(GUARD * rate_in / min(rate_in, rate_out))
    # lengths on both sides in the exact ratio of the rates: no drift from one end to the other
    blocks = _fast_length(math.ceil((samples + guard) / step_in))
    length_in, length_out = blocks * step_in, blocks * step_out
    spectrum = torch.fft.rfft(waveform, n=length_in)
    kept = min(length_in, length_out) // 2 + 1
    gain = _gain(kept, waveform.device) * (step_out / step_in)
    resampled: Tensor = torch.fft.irfft(spectrum[..., :kept] * gain, n=length_out)
    length = -(-samples * rate_out // rate_in)  # rounded up
    return resampled[..., :length].contiguous()


def _gain(bins: int, device: torch.device) -> Tensor:
    """Return the low-pass response at `bins` frequencies from 0 to the lower Nyquist frequency."""
    frequency = torch.linspace(0, 1, bins, dtype=torch.float64, device=device)
    slope = ((frequency - (1 - ROLL_OFF)) / ROLL_OFF).clamp(min=0)
    return (0.5 + 0.5 * torch.cos(torch.pi * slope)).float()


def _fast_length(blocks: int) -> int:
    """Round up, by an eighth at most, to a length with small factors, which transforms fast."""
    return min(
        odd << max(0, (-(-blocks // odd) - 1).bit_length()) for odd in (1, 3, 5, 9, 15, 27, 45)
    )
