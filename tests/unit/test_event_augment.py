"""Variation of event recordings against closed forms: what moves, what is added, what is lost."""

from math import erf

import numpy as np
import pytest

from pipelines.readers.events import Events, checked
from pipelines.recipe.schema import EventAugment
from pipelines.signal.event_augment import (
    augmented,
    event_augment_seed,
    hot_pixels,
    refractory,
    space_jitter,
    time_jitter,
)
from tests import published

ALL = EventAugment(
    drop=0.2, rate=2.0, time_jitter_us=500.0, space_jitter_px=0.7, refractory_us=300,
    hot_pixels=0.01, hot_rate=50.0,
)  # fmt: skip
NONE = EventAugment()


def drawn(seed=0, side=34, count=1000, span_us=300_000, height=None):
    x, y, p, t = published.random_events(seed, side, count, span_us)
    if height == 1:
        y, p = np.zeros_like(y), np.zeros_like(p)
    return Events(t.astype(np.int64), x.astype(np.int16), y.astype(np.int16), p.astype(np.uint8),
                  height or side, side)  # fmt: skip


def at(t_us, x=0, y=0, p=0, height=34, width=34):
    """Return events at these times, all at one place unless x, y and p are lists."""
    columns = (np.broadcast_to(values, len(t_us)) for values in (x, y, p))
    return Events(
        np.array(t_us, np.int64), *(np.array(c, np.int16) for c in columns), height, width
    )


def rows(events):
    return list(zip(*(column.tolist() for column in events[:4]), strict=True))


def equal(first, second):
    return rows(first) == rows(second) and first[4:] == second[4:]


@pytest.mark.parametrize("sd_px", [0.3, 1.0, 2.5])
def test_space_jitter_is_a_rounded_normal_number_in_both_directions(sd_px):
    count = 40_000
    moved = space_jitter(at(range(count), x=100, y=50, height=101, width=201), sd_px, 3)
    assert moved.t_us.tolist() == list(range(count))
    for place, centre in ((moved.x, 100), (moved.y, 50)):
        offset = place.astype(int) - centre
        # P(|offset| ≤ k) = erf((k + 1/2) / (sd √2)); sd of a mean of n is sd / √n
        for k in range(3):
            share = erf((k + 0.5) / (sd_px * 2**0.5))
            tolerance = 5 * (share * (1 - share) / count) ** 0.5 + 1e-9
            assert abs((abs(offset) <= k).mean() - share) < tolerance
        assert abs(offset.mean()) < 5 * (sd_px**2 + 1 / 12) ** 0.5 / count**0.5
    assert abs(np.corrcoef(moved.x, moved.y)[0, 1]) < 5 / count**0.5


@pytest.mark.parametrize(("x", "y"), [(0, 17), (33, 17), (17, 0), (17, 33)])
def test_what_leaves_the_sensor_is_lost_and_all_sides_are_alike(x, y):
    count, sd_px = 20_000, 0.6
    kept = checked(space_jitter(at(range(count), x=x, y=y), sd_px, 8), "jittered")
    share = 0.5 + erf(0.5 / (sd_px * 2**0.5)) / 2  # of a normal number below 1/2
    assert abs(len(kept.t_us) / count - share) < 5 * (share * (1 - share) / count) ** 0.5


def test_a_cochlea_is_jittered_along_its_channels_alone():
    spikes = drawn(side=64, height=1)
    moved = space_jitter(spikes, 1.0, 1)
    assert not moved.y.any() and len(moved.t_us) > 950
    assert (moved.x[:900] != spikes.x[:900]).any()


def test_time_jitter_is_a_rounded_normal_number_and_loses_none():
    count = 40_000
    moved = time_jitter(at([0, *[500_000] * count, 1_000_000]), 1000.0, 5)
    checked(moved, "jittered")
    assert len(moved.t_us) == count + 2
    offset = moved.t_us[(moved.t_us > 400_000) & (moved.t_us < 600_000)] - 500_000
    assert len(offset) == count
    assert abs(offset.mean()) < 5 * 1000 / count**0.5
    assert abs(offset.std() / 1000 - 1) < 5 / (2 * count) ** 0.5


def test_time_jitter_keeps_events_with_their_places_and_within_the_recording():
    events = drawn()._replace(x=np.arange(1000, dtype=np.int16), width=1000)
    moved = checked(time_jitter(events, 5000.0, 5), "jittered")
    assert sorted(moved.x.tolist()) == list(range(1000))
    assert moved.t_us[0] >= events.t_us[0] and moved.t_us[-1] <= events.t_us[-1]
    by_event = moved.t_us[np.argsort(moved.x)] - events.t_us
    assert 3000 < by_event.std() < 5200


@pytest.mark.parametrize(("share", "expected"), [(0.0, 0), (0.0004, 0), (0.002, 2), (1.0, 1156)])
def test_the_share_of_hot_pixels_and_their_rate(share, expected):
    ends = at([1000, 2_001_000], x=3, y=4)
    hot = checked(hot_pixels(ends, share, 200.0, 2), "hot")
    added = [row for row in rows(hot) if row[0] not in (1000, 2_001_000)]
    assert len(added) == expected * 400
    places = np.array([(x, y) for _, x, y, _ in added]).reshape(-1, 2)
    assert len(np.unique(places, axis=0)) == expected
    if expected == 2:
        counts = np.unique(places, axis=0, return_counts=True)[1]
        assert abs(counts - 400).max() < 5 * 200**0.5
        assert {p for _, _, _, p in added} == {0, 1}


def test_hot_pixels_of_a_cochlea_are_channels_and_have_no_polarity():
    hot = checked(hot_pixels(drawn(side=64, height=1, count=100), 0.05, 100.0, 2), "hot")
    assert not hot.y.any() and not hot.p.any() and len(hot.t_us) > 160


@pytest.mark.parametrize(
    ("refractory_us", "kept"),
    [(0, [0, 1, 10, 11, 20, 21, 40]), (1, [0, 10, 20, 40]), (9, [0, 10, 20, 40]),
     (10, [0, 11, 40]), (20, [0, 21]), (39, [0, 40]), (40, [0])],
)  # fmt: skip
def test_a_pixel_is_silent_after_each_event_that_is_kept(refractory_us, kept):
    assert refractory(at([0, 1, 10, 11, 20, 21, 40]), refractory_us).t_us.tolist() == kept


def test_refractoriness_is_each_pixels_own_and_of_both_polarities():
    events = drawn(side=6, count=4000)
    # the definition, event by event
    last, expected = {}, []
    for row in rows(events):
        t, *place, _ = row
        if tuple(place) not in last or t - last[tuple(place)] > 900:
            last[tuple(place)] = t
            expected.append(row)
    assert rows(refractory(events, 900)) == expected
    assert 1000 < len(expected) < 4000


@pytest.mark.parametrize("kind", list(EventAugment.model_fields))
def test_a_kind_that_is_0_changes_nothing_and_none_touches_its_input(kind):
    events = drawn()
    before = [column.copy() for column in events[:4]]
    assert equal(augmented(events, NONE, 5), events)
    without = ALL.model_copy(update={kind: 0})
    assert not equal(augmented(events, without, 5), augmented(events, ALL, 5))
    alone = NONE.model_copy(update={kind: getattr(ALL, kind)})
    assert equal(augmented(events, alone, 5), events) == (kind == "hot_rate")
    assert alone.varies() == (kind != "hot_rate")
    for column, copy in zip(events[:4], before, strict=True):
        assert (column == copy).all()


def test_an_empty_recording_stays_empty():
    assert not len(augmented(drawn(count=0), ALL, 1).t_us)


@pytest.mark.parametrize("height", [None, 1])
def test_a_varied_recording_is_one_that_a_reader_takes(height):
    for seed in range(20):
        events = drawn(seed, height=height)
        varied = checked(augmented(events, ALL, seed), "varied")
        assert [column.dtype for column in varied[:4]] == [column.dtype for column in events[:4]]
        assert varied[4:] == events[4:]
    lost = augmented(events, ALL.model_copy(update={"drop": 1.0}), seed)
    assert not len(lost.t_us)


def test_variation_is_a_function_of_its_seed_and_leaves_numpys_generator_alone():
    events = drawn()
    np.random.seed(11)
    expected = np.random.random(3)
    np.random.seed(11)
    first = augmented(events, ALL, event_augment_seed(0, 2, "a", "visual"))
    assert (np.random.random(3) == expected).all()
    augmented(events, ALL, event_augment_seed(0, 2, "b", "visual"))
    assert equal(augmented(events, ALL, event_augment_seed(0, 2, "a", "visual")), first)
    seeds = {
        event_augment_seed(seed, epoch, clip, modality)
        for seed in (0, 1) for epoch in (0, 1) for clip in "ab" for modality in ("audio", "visual")
    }  # fmt: skip
    assert len({str(rows(augmented(events, ALL, seed))) for seed in seeds}) == 16
