"""Resampling: what passes, what does not, and agreement with soxr."""

import math

import numpy as np
import pytest
import soxr
import torch
from torch import Tensor

from pipelines.signal.resample import resample


def tone(frequency_hz: float, rate_hz: int, seconds: float = 2.0) -> Tensor:
    time_s = torch.arange(round(seconds * rate_hz), dtype=torch.float64) / rate_hz
    return torch.sin(2 * math.pi * frequency_hz * time_s).float()[None]


def level_db(waveform: Tensor, frequency_hz: float, rate_hz: int) -> float:
    """Measure a tone's amplitude in dB re 1, away from the ends, through a window."""
    middle = waveform[0, 4000:-4000].double().numpy()
    window = np.blackman(len(middle))
    turn = np.exp(-2j * np.pi * frequency_hz * np.arange(len(middle)) / rate_hz)
    return 20 * math.log10(2 * abs((middle * window * turn).sum()) / window.sum() + 1e-12)


@pytest.mark.parametrize("frequency_hz", [50, 1000, 9000, 9900])
def test_a_tone_in_the_band_passes_within_a_tenth_of_a_decibel(frequency_hz: int) -> None:
    out = resample(tone(frequency_hz, 44100), 44100, 22050)
    assert abs(level_db(out, frequency_hz, 22050)) < 0.1


@pytest.mark.parametrize("frequency_hz", [11100, 12500, 15000, 20000])
def test_a_tone_above_the_band_leaves_no_alias_above_minus_80_db(frequency_hz: int) -> None:
    out = resample(tone(frequency_hz, 44100), 44100, 22050)
    assert level_db(out, 22050 - frequency_hz, 22050) < -80
    assert float(out[0, 4000:-4000].abs().max()) < 1e-3


def test_raising_the_rate_leaves_no_image_above_minus_80_db() -> None:
    out = resample(tone(3000, 8000), 8000, 22050)
    assert abs(level_db(out, 3000, 22050)) < 0.1
    for image_hz in (5000, 11000 - 50, 22050 - 11000):
        assert level_db(out, image_hz, 22050) < -80


@pytest.mark.parametrize(
    ("rate_in", "rate_out"),
    # 11,024 and 11,025 Hz both occur in UrbanSound8K; 44,101 and 22,050 share no divisor
    [(44100, 22050), (48000, 22050), (11024, 22050), (96000, 16000), (8000, 22050), (44101, 22050)],
)
def test_it_agrees_with_soxr_on_a_band_limited_signal(rate_in: int, rate_out: int) -> None:
    generator = np.random.default_rng(1)
    band_hz = 0.8 * min(rate_in, rate_out) / 2
    seconds = np.arange(2 * rate_in) / rate_in
    parts = [
        generator.uniform(0.2, 1) * np.sin(2 * np.pi * f * seconds + generator.uniform(0, 6))
        for f in generator.uniform(20, band_hz, 30)
    ]
    clip = (np.sum(parts, axis=0) / 15).astype(np.float32)
    ours = resample(torch.from_numpy(clip)[None], rate_in, rate_out)[0].numpy()
    theirs = soxr.resample(clip, rate_in, rate_out, quality="HQ")
    assert abs(len(ours) - len(theirs)) <= 1
    middle = slice(rate_out // 4, len(ours) - rate_out // 4)
    assert np.abs(ours[middle] - theirs[middle]).max() < 1e-3


def test_a_click_stays_in_its_place_and_does_not_wrap_around() -> None:
    # 46,080 samples need no rounding up to a fast length, which alone would keep the ends apart
    clip = torch.zeros(1, 46080)
    clip[0, -2] = 1
    out = resample(clip, 44100, 22050)
    assert out.abs().argmax().item() == 23039
    assert out[0, :11000].abs().max() < 1e-5 * out.abs().max()


@pytest.mark.parametrize(("samples", "expected"), [(176400, 88200), (3, 2), (4, 2), (1, 1)])
def test_the_length_is_that_of_the_same_time_rounded_up(samples: int, expected: int) -> None:
    assert resample(torch.ones(2, samples), 44100, 22050).shape == (2, expected)


def test_the_same_rate_gives_the_same_numbers() -> None:
    clip = torch.randn(3, 1000, generator=torch.Generator().manual_seed(0))
    assert torch.equal(resample(clip, 22050, 22050), clip)


def test_a_clip_gives_the_same_alone_and_in_a_batch() -> None:
    clips = torch.randn(5, 48000, generator=torch.Generator().manual_seed(0))
    together = resample(clips, 48000, 22050)
    alone = torch.cat([resample(clip[None], 48000, 22050) for clip in clips])
    torch.testing.assert_close(together, alone, rtol=0, atol=2e-6)
    assert together.dtype == torch.float32
