"""Noise on events against closed forms: how many are lost or added, where, when, and for whom."""

import numpy as np
import pytest

from pipelines.errors import UsageError
from pipelines.readers.events import Events, checked
from pipelines.recipe.noise import EventNoise, parse_event_noise
from pipelines.results.noise_files import noise_result
from pipelines.signal.event_noise import add, drop, event_noise_seed, with_event_noise
from tests import published


def drawn(seed=0, side=34, count=1000, span_us=300_000, height=None):
    x, y, p, t = published.random_events(seed, side, count, span_us)
    if height == 1:
        y, p = np.zeros_like(y), np.zeros_like(p)
    return Events(
        t.astype(np.int64),
        x.astype(np.int16),
        y.astype(np.int16),
        p.astype(np.uint8),
        height or side,
        side,
    )


def rows(events):
    return list(zip(*(column.tolist() for column in events[:4]), strict=True))


def equal(one, other):
    return rows(one) == rows(other) and one[4:] == other[4:]


@pytest.mark.parametrize("share", [0.0, 0.1, 0.25, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("count", [1, 7, 1000])
def test_exactly_the_share_is_dropped_and_the_rest_is_as_it_was(share, count):
    events = drawn(count=count)._replace(t_us=np.arange(count))
    kept = drop(events, share, 7)
    assert len(kept.t_us) == count - int(share * count + 0.5)
    known = rows(events)
    assert rows(kept) == [known[number] for number in kept.t_us]
    assert (np.diff(kept.t_us) > 0).all()
    assert [column.dtype for column in kept[:4]] == [column.dtype for column in events[:4]]


def test_every_event_is_as_likely_to_be_dropped_as_any_other():
    events = drawn(count=50)._replace(t_us=np.arange(50))
    lost = np.ones(50) * 2000
    for seed in range(2000):
        lost[drop(events, 0.3, seed).t_us] -= 1
    # Binomial(2000, 0.3): mean 600, sd 20.5
    assert lost.sum() == 2000 * 15 and abs(lost - 600).max() < 5 * 20.5


@pytest.mark.parametrize("rate_hz", [0.5, 5.0, 40.0])
def test_the_rate_is_events_a_pixel_and_second_over_the_whole_recording(rate_hz):
    events = drawn()
    noisy = checked(add(events, rate_hz, 3), "noisy")
    span_s = (events.t_us[-1] - events.t_us[0]) * 1e-6
    added = len(noisy.t_us) - len(events.t_us)
    assert added == round(rate_hz * 34 * 34 * span_s)
    assert not set(rows(events)) - set(rows(noisy))  # none is lost
    assert noisy.t_us[0] == events.t_us[0] and noisy.t_us[-1] == events.t_us[-1]
    assert [column.dtype for column in noisy[:4]] == [column.dtype for column in events[:4]]


def test_noise_is_even_over_place_time_and_polarity():
    ends = Events(
        np.array([1_000, 1_001_000]), *(np.zeros(2, np.int16),) * 2, np.zeros(2, np.uint8), 20, 30
    )
    noisy = add(ends, 100.0, 1)
    x, y, p, t = (column[1:-1] for column in (noisy.x, noisy.y, noisy.p, noisy.t_us))
    assert len(x) == 60_000
    for values, bins in ((x, 30), (y, 20), (p, 2), ((t - 1_000) // 100_000, 10)):
        counts = np.bincount(values, minlength=bins)
        expected = 60_000 / bins
        assert len(counts) == bins and abs(counts - expected).max() < 5 * expected**0.5


def test_noise_of_a_cochlea_has_its_channels_and_no_polarity():
    noisy = add(drawn(side=64, height=1), 20.0, 1)
    assert not noisy.y.any() and not noisy.p.any()
    assert set(noisy.x.tolist()) == set(range(64)) and noisy.height == 1


@pytest.mark.parametrize("kind", ["drop", "rate"])
def test_level_0_changes_nothing_and_no_call_touches_its_input(kind):
    events = drawn()
    before = [column.copy() for column in events[:4]]
    assert equal(with_event_noise(events, kind, 0.0, 5), events)
    with_event_noise(events, kind, 0.5, 5)
    assert all((a == b).all() for a, b in zip(events[:4], before, strict=True))


@pytest.mark.parametrize("kind", ["drop", "rate"])
def test_noise_is_a_function_of_its_seed_and_leaves_numpys_generator_alone(kind):
    events = drawn()
    np.random.seed(11)
    expected = np.random.random(3)
    np.random.seed(11)
    first = with_event_noise(events, kind, 0.5, event_noise_seed(0, "a", "visual", kind, 0.5))
    assert (np.random.random(3) == expected).all()
    np.random.seed(99)
    with_event_noise(events, kind, 0.5, event_noise_seed(0, "b", "visual", kind, 0.5))
    again = with_event_noise(events, kind, 0.5, event_noise_seed(0, "a", "visual", kind, 0.5))
    assert equal(first, again)
    seeds = {
        event_noise_seed(seed, clip, modality, kind, level)
        for seed in (0, 1)
        for clip in "ab"
        for modality in ("audio", "visual")
        for level in (0.25, 0.5)
    }
    assert len(seeds) == 16
    others = [with_event_noise(events, kind, 0.5, seed) for seed in seeds]
    assert len({str(rows(other)) for other in others}) == 16


@pytest.mark.parametrize("kind", ["drop", "rate"])
def test_an_empty_recording_stays_empty(kind):
    assert not len(with_event_noise(drawn(count=0), kind, 0.5, 1).t_us)


def test_more_events_than_a_recording_may_have_are_refused_before_they_are_made():
    with pytest.raises(UsageError, match="at most 67108864"):
        add(drawn(side=128), 1e6, 0)


def test_what_cannot_be_a_level_is_refused():
    with pytest.raises(ValueError, match="share"):
        drop(drawn(), 1.5, 0)
    with pytest.raises(ValueError, match="rate_hz"):
        add(drawn(), float("nan"), 0)


def test_a_sweep_is_read_from_the_command_line():
    assert parse_event_noise("drop:0:0.9:0.1").levels() == [
        0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9,
    ]  # fmt: skip
    assert parse_event_noise("rate:5", "visual") == EventNoise(
        kind="rate", start=5.0, stop=5.0, step=1.0, modality="visual"
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "drop",
        "drop:",
        "drop:0:1",
        "dop:0:1:0.1",
        "drop:-1:0:0.1",
        "drop:0:1.5:0.5",
        "rate:5:1:1",
        "rate:0:5:0",
        "rate:nan",
        "rate:0:1e3:1",
        "drop:0:1:0.0001",
        "drop:1:2:3:4",
    ],
)
def test_anything_else_is_refused_with_the_way_to_write_it(text):
    with pytest.raises(UsageError, match="not a noise of events") as caught:
        parse_event_noise(text)
    assert "drop:0:0.9:0.1" in caught.value.hint


def test_no_two_sweeps_of_events_share_a_name():
    sweeps = [
        EventNoise(kind=kind, start=start, stop=stop, step=step, modality=modality, seed=seed)
        for kind in ("drop", "rate")
        for start, stop, step in ((0, 1, 0.1), (0, 1, 0.5), (1, 1, 1))
        for modality in ("audio", "visual", "both")
        for seed in (0, 3)
    ]
    names = {noise_result(noise) for noise in sweeps}
    assert len(names) == len(sweeps)
    assert all(name.startswith("event-noise-") for name in names)
