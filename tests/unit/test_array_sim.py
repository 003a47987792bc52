"""array-sim: its delays, levels and noise by closed forms, its splits, its rooms and its kinds."""

import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from pipelines.clips import leaks
from pipelines.clips.clips import SPLITS
from pipelines.datasets import array_sim
from pipelines.errors import DataError, UsageError
from pipelines.features import gcc_phat
from pipelines.signal.arrays import RESPEAKER_V2, azimuth_of, peak_lags, srp_phat


def simulated(**settings):
    clips = array_sim.pairs(Path(), azimuth_step_deg=45, clips_per_azimuth=1, **settings)
    return [(clip, array_sim.audio(Path(), clip.audio)[0]) for clip in clips]


@pytest.mark.parametrize("continuous", [False, True], ids=["steps", "continuous"])
def test_the_delays_of_a_simulated_clip_are_those_of_its_geometry(continuous):
    """By the slope of the cross-spectrum's phase, over the array's 45.7 mm square."""
    hz = np.fft.rfftfreq(16_000, 1 / 16_000)
    for clip, heard in simulated(snr_db=120, continuous=continuous):
        angle = np.deg2rad(clip.azimuth_deg)
        x, y = 0.02285 * np.array([[1, -1, -1, 1], [1, 1, -1, -1]])
        arrival = -(x * np.cos(angle) + y * np.sin(angle)) / 343
        spectra = np.fft.rfft(heard.astype(float))
        for i, j in ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)):
            cross = np.conj(spectra[i]) * spectra[j]
            expected = arrival[j] - arrival[i]
            rest = np.angle(cross * np.exp(2j * np.pi * hz * expected))
            weight = np.abs(cross)
            slope = (weight * hz * rest).sum() / (weight * hz**2).sum()
            assert abs(slope / (2 * np.pi)) * 16_000 < 0.05, clip.id
            # not by a whole turn of the phase either
            assert np.average(np.abs(rest), weights=weight) < 0.02


def test_a_point_source_is_louder_at_the_nearer_microphones_by_distance():
    for clip, heard in simulated(propagation="point", radius_m=0.25, snr_db=120):
        corners = np.deg2rad(45 + 90 * np.arange(4) - clip.azimuth_deg)
        distance = np.hypot(1.5 - 0.25 * np.cos(corners), 0.25 * np.sin(corners))
        level = np.sqrt((heard.astype(float) ** 2).mean(1))
        np.testing.assert_allclose(level / level[0], distance[0] / distance, rtol=1e-3)


def test_noise_lies_as_far_below_the_sound_as_asked():
    for (_, clean), (_, noisy) in zip(simulated(snr_db=120), simulated(snr_db=10), strict=True):
        difference = (noisy - clean).astype(float)
        assert abs(20 * np.log10(0.03 / np.sqrt((difference**2).mean())) - 10) < 0.2


def test_a_simulated_clip_is_a_function_of_its_name_and_within_full_scale():
    first, second = simulated(), simulated()
    for (_, heard), (_, again) in zip(first, second, strict=True):
        assert heard.shape == (4, 16_000) and heard.dtype == np.float32
        np.testing.assert_array_equal(heard, again)
        assert 0.04 < np.abs(heard).max() < 1
    for (_, heard), (_, other) in zip(first, simulated(seed=1), strict=True):
        assert not np.array_equal(heard, other)
    with pytest.raises(DataError, match="no simulated clip"):
        array_sim.audio(Path(), "bark_az000.000_far_r0.03232_snr30_s0_n00")


def test_the_simulated_splits_are_stratified_or_leave_azimuths_out():
    clips = array_sim.pairs(Path())
    assert len(clips) == 72 * 4 * 2 == len({clip.id for clip in clips})
    assert not any(leaks.audit(clips)["shared"].values())
    tests = Counter(clip.label for clip in clips if clip.split == "test")
    assert tests == dict.fromkeys(range(4), 43)
    left_out = array_sim.pairs(Path(), protocol="leave-azimuth-out", continuous=True)
    steps = {
        split: {int(clip.azimuth_deg // 5) for clip in left_out if clip.split == split}
        for split in SPLITS
    }
    assert len(steps["test"]) == 22 and len(steps["validation"]) == 5
    assert sum(map(len, steps.values())) == 72 == len(set.union(*steps.values()))


def test_the_azimuth_of_simulated_clips_can_be_found():
    grid = np.arange(0, 360, 1.0)
    for clip, heard in simulated():
        found = grid[srp_phat(heard, 16_000, RESPEAKER_V2, grid).argmax()]
        assert abs((found - clip.azimuth_deg + 180) % 360 - 180) <= 1, clip.id
    wide = simulated(radius_m=0.2)
    batch = torch.from_numpy(np.stack([heard for _, heard in wide]))
    gcc = gcc_phat.extract(batch, sample_rate=16_000).mean(-1).double().numpy()
    microphones = RESPEAKER_V2 * (0.2 / 0.03232)
    errors = [
        abs((found - clip.azimuth_deg + 180) % 360 - 180)
        for (clip, _), found in zip(
            wide, azimuth_of(peak_lags(gcc) / 16_000, microphones), strict=True
        )
        if clip.audio.startswith("noise")
    ]
    assert max(errors) < 2


def test_a_room_keeps_the_direction_and_adds_echoes():
    grid = np.arange(0, 360, 1.0)
    clips = array_sim.pairs(Path(), azimuth_step_deg=45, clips_per_azimuth=1, propagation="room")
    for clip in [clip for clip in clips if clip.audio.startswith("noise")]:
        heard, _ = array_sim.audio(Path(), clip.audio)
        found = grid[srp_phat(heard, 16_000, RESPEAKER_V2, grid).argmax()]
        assert abs((found - clip.azimuth_deg + 180) % 360 - 180) <= 5, clip.id
        plain, _ = array_sim.audio(Path(), clip.audio.replace("_room_", "_far_"))
        dry, wet = ((x.astype(float) ** 2).mean(0) for x in (plain, heard))
        # 50 ms after the sound ends there is only the noise of the microphones, or the echoes too
        after = np.flatnonzero(dry > 1e-4)[-1] + 800
        assert wet[after : after + 800].sum() > 3 * dry[after : after + 800].sum()
        assert 0.9 < wet.sum() / dry.sum() < 1.02


def test_a_room_without_pyroomacoustics_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyroomacoustics", None)
    with pytest.raises(UsageError) as caught:
        array_sim.pairs(Path(), propagation="room")
    assert caught.value.hint == "pip install 'avsnn[room]'"
    with pytest.raises(UsageError):
        array_sim.audio(Path(), "noise_az000.000_room_r0.03232_snr30_s0_n00")


def test_the_kinds_of_simulated_sounds_can_be_told_apart():
    """A linear classifier on mean and spread over time of 16 bands, trained on other azimuths."""
    clips = array_sim.pairs(Path(), protocol="leave-azimuth-out", azimuth_step_deg=15)

    def described(clip):
        heard, _ = array_sim.audio(Path(), clip.audio)
        frames = np.abs(np.fft.rfft(heard[0].reshape(-1, 320) * np.hanning(320)))[:, 1:]
        bands = np.log(frames.reshape(len(frames), 16, 10).mean(-1) + 1e-4)
        return np.concatenate([bands.mean(0), bands.std(0)])

    features = np.stack([described(clip) for clip in clips])
    labels = np.array([clip.label for clip in clips])
    test = np.array([clip.split == "test" for clip in clips])
    model = LogisticRegression(max_iter=2000).fit(features[~test], labels[~test])
    assert model.score(features[test], labels[test]) > 0.9
