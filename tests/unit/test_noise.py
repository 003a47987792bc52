"""Noise of Eq. 19: the level that was asked for, and the same noise however it is batched."""

import math

import pytest
import torch
from torch import Tensor

from pipelines.signal.noise import add_noise, noise_keys

IDS = ["dog/1", "dog/2", "siren/1", "siren/2"]


def signals(samples: int = 88_200) -> Tensor:
    """Tones whose power is known: amplitude a gives a^2 / 2."""
    time = torch.arange(samples) / 22050
    amplitude = torch.tensor([1.0, 0.1, 0.01, 3.0])[:, None]
    return amplitude * torch.sin(2 * math.pi * 441 * time)


@pytest.mark.parametrize("snr_db", [0.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0])
def test_the_measured_ratio_is_the_one_asked_for(snr_db: float) -> None:
    clean = signals()
    noise = add_noise(clean, snr_db, noise_keys(0, IDS, "audio", snr_db)) - clean
    power = torch.tensor([1.0, 0.01, 0.0001, 9.0], dtype=torch.float64) / 2
    measured = 10 * torch.log10(power / noise.double().square().mean(dim=1))
    # four standard errors of a variance over 88,200 numbers are 0.08 dB
    assert float((measured - snr_db).abs().max()) < 0.1
    standard_error = noise.double().std(dim=1) / noise.shape[1] ** 0.5
    assert bool((noise.double().mean(dim=1).abs() < 4 * standard_error).all())


def test_each_sample_may_have_its_own_ratio() -> None:
    clean = torch.ones(3, 100_000)
    levels = torch.tensor([0.0, 10.0, 20.0])
    noise = add_noise(clean, levels, torch.arange(3)) - clean
    expected = torch.tensor([1.0, 10**-0.5, 0.1])
    torch.testing.assert_close(noise.std(dim=1), expected, rtol=0.01, atol=0)


def test_images_get_noise_of_their_own_power_in_every_channel() -> None:
    clean = torch.full((2, 3, 128, 128), 0.5)
    clean[1] = 0.25
    noise = add_noise(clean, 20.0, torch.arange(2)) - clean
    expected = torch.tensor([0.05, 0.025])[:, None].expand(2, 3)
    torch.testing.assert_close(noise.std(dim=(2, 3)), expected, rtol=0.03, atol=0)


def test_a_sample_gets_the_same_noise_in_any_batch_and_order() -> None:
    clean, keys = signals(5000), noise_keys(0, IDS, "audio", 10.0)
    together = add_noise(clean, 10.0, keys)
    alone = torch.cat([add_noise(clean[i : i + 1], 10.0, keys[i : i + 1]) for i in range(4)])
    assert torch.equal(alone, together)
    order = torch.tensor([2, 0, 3, 1])
    assert torch.equal(add_noise(clean[order], 10.0, keys[order]), together[order])


def test_seed_clip_modality_and_level_each_change_the_noise() -> None:
    variants = [
        noise_keys(0, IDS, "audio", 10.0),
        noise_keys(1, IDS, "audio", 10.0),
        noise_keys(0, IDS, "visual", 10.0),
        noise_keys(0, IDS, "audio", 15.0),
    ]
    assert len(torch.unique(torch.cat(variants))) == 16
    clean = torch.ones(1, 100_000)
    a, b = (add_noise(clean, 0.0, keys[:1])[0] - 1 for keys in (variants[0], variants[3]))
    assert abs(float((a * b).mean())) < 5 / 100_000**0.5


def test_a_level_is_the_same_however_it_is_written() -> None:
    assert torch.equal(noise_keys(0, IDS, "audio", 5), noise_keys(0, IDS, "audio", 5.0))
    assert torch.equal(noise_keys(0, IDS, "audio", -0.0), noise_keys(0, IDS, "audio", 0))


def test_silence_and_an_infinite_ratio_leave_a_sample_as_it_is() -> None:
    clean = signals(1000)
    clean[1] = 0
    noisy = add_noise(clean, 0.0, torch.arange(4))
    assert torch.equal(noisy[1], clean[1])
    assert bool((noisy[0] != clean[0]).any())
    assert torch.equal(add_noise(clean, math.inf, torch.arange(4)), clean)


def test_batch_power_is_shared_by_all_samples() -> None:
    clean = torch.zeros(4, 100_000)
    clean[0] = 2.0  # the mean square over the batch is then 1
    noise = add_noise(clean, 0.0, torch.arange(4), power="batch") - clean
    torch.testing.assert_close(noise.std(dim=1), torch.ones(4), rtol=0.01, atol=0)


def test_nothing_is_clipped_and_the_input_is_left_alone() -> None:
    clean = torch.full((1, 10_000), 0.9)
    before = clean.clone()
    assert float(add_noise(clean, 0.0, torch.arange(1)).max()) > 2
    assert torch.equal(clean, before)


def test_8_bit_levels_do_not_overflow_in_the_power() -> None:
    levels = torch.full((1, 3, 64, 64), 200, dtype=torch.uint8)
    noisy = add_noise(levels, 20.0, torch.arange(1))
    assert noisy.dtype == torch.float32
    assert float((noisy - 200).std()) == pytest.approx(20, rel=0.05)
