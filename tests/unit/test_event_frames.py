"""Event frames against tonic's ToFrame, bin for bin, and what the two camera models promise."""

import numpy as np
import pytest
import tonic.transforms
import torch

from pipelines.errors import UsageError
from pipelines.features import cochlea_frames, event_frames
from pipelines.readers.events import EventBatch, Events
from pipelines.signal.cochlea import centre_frequencies, cochlea_spikes
from pipelines.signal.dvs_model import camera_events
from tests import published


def batch_of(*recordings):
    ends = np.cumsum([0, *(len(r.t_us) for r in recordings)])
    which = np.repeat(np.arange(len(recordings)), np.diff(ends))
    joined = [
        torch.from_numpy(np.concatenate([getattr(r, name) for r in recordings]).astype(int))
        for name in ("t_us", "x", "y", "p")
    ]
    first = recordings[0]
    return EventBatch(torch.from_numpy(which), *joined, len(recordings), first.height, first.width)


def drawn(seed, side=34, count=500):
    x, y, p, t = published.random_events(seed, side, count)
    return Events(
        t.astype(np.int64), x.astype(np.int16), y.astype(np.int16), p.astype(np.uint8), side, side
    )


def tonics(events, time_steps, bin_by):
    """Return tonic's frames, and the events that it leaves over, as a frame."""
    kind = np.dtype([("x", int), ("y", int), ("t", int), ("p", int)])
    table = np.zeros(len(events.t_us), kind)
    table["x"], table["y"], table["t"], table["p"] = events.x, events.y, events.t_us, events.p
    which = {"time": "n_time_bins", "count": "n_event_bins"}[bin_by]
    frames = tonic.transforms.ToFrame(
        sensor_size=(events.width, events.height, 2), **{which: time_steps}
    )(table)
    if bin_by == "time":
        end = events.t_us[0] + (events.t_us[-1] - events.t_us[0]) // time_steps * time_steps
        left = events.t_us >= end
    else:
        left = np.arange(len(events.t_us)) >= len(events.t_us) // time_steps * time_steps
    rest = np.zeros(frames.shape[1:], int)
    np.add.at(rest, (events.p[left], events.y[left], events.x[left]), 1)
    return frames.astype(int), rest


@pytest.mark.parametrize("bin_by", ["time", "count"])
@pytest.mark.parametrize("time_steps", [1, 3, 4, 16])
@pytest.mark.parametrize("seed", range(5))
def test_frames_are_tonics_bin_for_bin(bin_by, time_steps, seed):
    """All bins are tonic's; what tonic leaves over at the end is in our last bin, not lost."""
    events = drawn(seed, count=300 + 37 * seed)
    found = event_frames.extract(
        batch_of(events), time_steps=time_steps, bin_by=bin_by, size=(34, 34)
    )[0].numpy()
    frames, rest = tonics(events, time_steps, bin_by)
    frames[-1] += rest
    np.testing.assert_array_equal(found, frames)
    assert found.sum() == len(events.t_us)


@pytest.mark.parametrize("size", [(34, 34), (28, 28), (26, 26), (7, 5), (64, 64)])
def test_no_event_is_lost_or_counted_twice_at_any_size(size):
    found = event_frames.extract(batch_of(drawn(0), drawn(1)), time_steps=4, size=size)
    assert found.shape == (2, 4, 2, *size) and found.dtype == torch.uint8
    assert found.sum((1, 2, 3, 4)).tolist() == [500, 500]


def test_halving_the_size_adds_blocks_of_four():
    events = drawn(2)
    full = event_frames.extract(batch_of(events), time_steps=3, size=(34, 34)).int()
    half = event_frames.extract(batch_of(events), time_steps=3, size=(17, 17)).int()
    assert torch.equal(half, full.view(1, 3, 2, 17, 2, 17, 2).sum((4, 6)))


def test_polarity_is_kept_or_summed():
    events = drawn(3)
    two = event_frames.extract(batch_of(events), time_steps=2, size=(34, 34))
    one = event_frames.extract(batch_of(events), time_steps=2, size=(34, 34), polarity="sum")
    assert two[:, :, 1].sum() == events.p.sum()
    assert torch.equal(one, two.sum(2, keepdim=True, dtype=torch.uint8))


def test_a_recording_does_not_depend_on_its_neighbours_and_an_empty_one_is_zeros():
    nothing = Events(
        *(np.zeros(0, kind) for kind in (np.int64, np.int16, np.int16, np.uint8)), 34, 34
    )
    together = event_frames.extract(batch_of(drawn(5), nothing, drawn(6, count=90)))
    assert torch.equal(together[0], event_frames.extract(batch_of(drawn(5)))[0])
    assert torch.equal(together[2], event_frames.extract(batch_of(drawn(6, count=90)))[0])
    assert not together[1].any() and together[0].any()


def test_counts_stop_at_255():
    many = Events(np.arange(300), *(np.zeros(300, int) for _ in range(3)), 34, 34)
    found = event_frames.extract(batch_of(many), time_steps=1, size=(34, 34))
    assert found.max() == 255


def test_a_margin_widens_the_frame_by_itself():
    found = event_frames.extract(batch_of(drawn(7)), time_steps=2, size=(28, 28), margin=3)
    assert found.shape == (1, 2, 2, 34, 34) and found.sum() == 500


def test_channels_stand_in_the_authors_square():
    """S-CMRL: 64 channels as 8 rows of 8, then 28 x 28 bilinear."""
    spikes = Events(np.array([0, 1, 2]), np.array([0, 9, 63]), *(np.zeros(3, int),) * 2, 1, 64)
    plane = cochlea_frames.extract(batch_of(spikes), time_steps=1, size=None)[0, 0, 0]
    assert plane.shape == (8, 8)
    assert torch.nonzero(plane).tolist() == [[0, 0], [1, 1], [7, 7]]
    resized = cochlea_frames.extract(batch_of(spikes), time_steps=1, size=(28, 28))[0, 0]
    assert torch.allclose(
        resized,
        torch.nn.functional.interpolate(
            plane[None, None], size=(28, 28), mode="bilinear", antialias=True
        )[0],
    )
    column = cochlea_frames.extract(batch_of(spikes), time_steps=1, layout="column", size=None)
    assert torch.nonzero(column[0, 0, 0, :, 0]).flatten().tolist() == [0, 9, 63]


def test_what_makes_no_square_says_what_to_set():
    odd = Events(np.array([0]), *(np.zeros(1, int),) * 3, 1, 10)
    with pytest.raises(UsageError) as caught:
        cochlea_frames.extract(batch_of(odd))
    assert "audio.layout: column" in caught.value.hint
    with pytest.raises(UsageError, match="are not a cochlea's"):
        cochlea_frames.extract(batch_of(drawn(0)))


# ---- the models of a camera and of a cochlea ----


def test_a_brightening_pixel_fires_once_for_each_threshold_at_its_time():
    """log I rises by 1 in 1 s: with θ = 0.25 it fires at 0.25, 0.5, 0.75 and 1 s."""
    film = np.ones((2, 1, 3))
    film[1, 0, 0], film[1, 0, 2] = np.e, np.exp(-0.6)
    found = camera_events(film, np.array([0, 1_000_000]), 0.25)
    brighter = found.p == 1
    assert found.x[brighter].tolist() == [0] * 4
    assert found.t_us[brighter].tolist() == [250_000, 500_000, 750_000, 1_000_000]
    assert found.x[~brighter].tolist() == [2] * 2
    assert found.t_us[~brighter].tolist() == [416_667, 833_333]
    assert (np.diff(found.t_us) >= 0).all()


def test_a_pixel_remembers_between_frames():
    """Three steps of 0.1 make one event of 0.25, in the middle of the third."""
    film = np.exp(np.array([0.0, 0.1, 0.2, 0.3]))[:, None, None]
    found = camera_events(film, np.arange(4) * 100, 0.25)
    assert found.t_us.tolist() == [250] and found.p.tolist() == [1]


def test_a_still_scene_is_silent():
    still = np.random.default_rng(0).uniform(0.1, 1, (1, 5, 5)).repeat(4, 0)
    assert not len(camera_events(still, np.arange(4), 0.1).t_us)


@pytest.mark.parametrize("channel", [5, 30, 60])
def test_a_tone_fires_its_own_channel_at_the_stated_rate(channel):
    """Half-wave rectified, a sine of amplitude A has the mean A/π."""
    hz = centre_frequencies(64, 100.0, 3500.0)[channel]
    tone = 0.5 * np.sin(2 * np.pi * hz * np.arange(16_000) / 16_000)
    spikes = cochlea_spikes(tone.astype(np.float32), 16_000, floor=0.0)
    late = spikes.x[spikes.t_us >= 200_000]
    rates = np.bincount(late, minlength=64) / 0.8
    assert abs(int(rates.argmax()) - channel) <= 1
    assert rates[channel] == pytest.approx(4000 * 0.5 / np.pi, rel=0.03)


def test_silence_gives_no_spikes_and_the_bands_are_even_in_erb():
    assert not len(cochlea_spikes(np.zeros(800, np.float32), 8000).t_us)
    hz = centre_frequencies(64, 100.0, 3500.0)
    assert hz[0] == pytest.approx(100) and hz[-1] == pytest.approx(3500)
    width = 24.7 * (1 + 0.00437 * hz)  # Glasberg & Moore: the number of ERBs is its integral
    steps = np.diff(hz) / ((width[1:] + width[:-1]) / 2)
    assert np.ptp(steps) / steps.mean() < 0.01
