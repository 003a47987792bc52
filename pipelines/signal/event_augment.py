"""Variation of recordings of events in training: jitter, noise, hot pixels, refractoriness, loss.

tonic's functional transforms do what they do right, each on copies with its own seed. Two of its
transforms are not used, as of version 1.7:

- `refractory_period` drops a pixel's first event if it is at t = 0, and measures from events that
  it dropped, so that a pixel that fires fast enough is silent for good;
- `identify_hot_pixel` finds hot pixels to remove, and fails on a recording without events; tonic
  has nothing that makes a pixel hot.
"""

from typing import Protocol

import numpy as np

from pipelines.readers.events import Events
from pipelines.signal.counter_rng import key_of
from pipelines.signal.event_noise import add, drop, in_order_of_time, numpy_seeded, picked


class Amounts(Protocol):
    """How much of each variation; 0 is none. The recipe's train.augment.events has these names."""

    @property
    def space_jitter_px(self) -> float:
        """Standard deviation in pixels."""

    @property
    def time_jitter_us(self) -> float:
        """Standard deviation in microseconds."""

    @property
    def rate(self) -> float:
        """Noise events in Hz per pixel."""

    @property
    def hot_pixels(self) -> float:
        """Share of the pixels that are hot."""

    @property
    def hot_rate(self) -> float:
        """Rate of a hot pixel in Hz."""

    @property
    def refractory_us(self) -> int:
        """Time in microseconds in which a pixel cannot fire again."""

    @property
    def drop(self) -> float:
        """Share of the events that are lost."""


def event_augment_seed(seed: int, epoch: int, clip_id: str, modality: str) -> int:
    """Return the seed of a clip's variation in one epoch; no other clip or input changes it."""
    return key_of("event augmentation", seed, epoch, modality, clip_id)


def augmented(events: Events, amounts: Amounts, seed: int) -> Events:
    """Vary a recording in the order in which a sensor does.

    What is seen is jittered, the pixels add noise and are refractory, and the read-out loses
    events. Each kind draws from a seed of its own: one that is switched off changes no other.
    """
    events = space_jitter(events, amounts.space_jitter_px, key_of("space jitter", seed))
    events = time_jitter(events, amounts.time_jitter_us, key_of("time jitter", seed))
    events = add(events, amounts.rate, key_of("rate", seed))
    events = hot_pixels(events, amounts.hot_pixels, amounts.hot_rate, key_of("hot pixels", seed))
    events = refractory(events, amounts.refractory_us)
    return drop(events, amounts.drop, key_of("drop", seed)) if amounts.drop else events


def space_jitter(events: Events, sd_px: float, seed: int) -> Events:
    """Move each event by normal numbers of this standard deviation, rounded to whole pixels.

    Those that leave the sensor are lost. A recording of height 1, a cochlea's, moves along its
    channels alone.
    """
    from tonic.functional import spatial_jitter_numpy

    if not (sd_px and len(events.t_us)):
        return events
    places = np.zeros(len(events.t_us), np.dtype([("x", np.float64), ("y", np.float64)]))
    places["x"], places["y"] = events.x, events.y
    variance = sd_px**2
    # on a float copy and without tonic's clipping: it changes its input, and on whole numbers it
    # cuts towards 0, so that what left the sensor by less than a pixel at one side counts as inside
    with numpy_seeded(seed):
        places = spatial_jitter_numpy(
            places,
            (events.width, events.height, 2),
            var_x=variance,
            var_y=0.0 if events.height == 1 else variance,
        )
    x, y = (np.rint(places[name]) for name in "xy")
    inside = (x >= 0) & (x < events.width) & (y >= 0) & (y < events.height)
    kept = picked(events, np.flatnonzero(inside))
    return kept._replace(x=x[inside].astype(np.int16), y=y[inside].astype(np.int16))


def time_jitter(events: Events, sd_us: float, seed: int) -> Events:
    """Move each event in time by normal numbers of this standard deviation, in whole µs.

    None is lost: times stay between the recording's first and last, from which frames are cut.
    """
    from tonic.functional import time_jitter_numpy

    if not (sd_us and len(events.t_us)):
        return events
    times = np.zeros(len(events.t_us), np.dtype([("t", np.float64)]))
    times["t"] = events.t_us
    # on a float copy, as above; its own sort is not stable
    with numpy_seeded(seed):
        times = time_jitter_numpy(times, std=sd_us)
    moved = np.rint(times["t"]).astype(np.int64).clip(events.t_us[0], events.t_us[-1])
    return in_order_of_time(events._replace(t_us=moved))


def hot_pixels(events: Events, share: float, rate_hz: float, seed: int) -> Events:
    """Let pixels chosen at random fire at a rate in Hz that no scene causes, as `add` does.

    Of n pixels, floor(share · n + 1/2) are hot, each as likely; they are others for each seed.
    """
    pixels = events.width * events.height
    count = int(share * pixels + 0.5)
    if not (count and rate_hz):
        return events
    with numpy_seeded(key_of("which", seed)):
        hot = np.random.choice(pixels, count, replace=False)
    return add(events, rate_hz, seed, pixels=hot)


def refractory(events: Events, refractory_us: int) -> Events:
    """Drop the events of a pixel, of either polarity, until t - t_kept > refractory_us.

    t_kept: time of the pixel's last event that was not dropped. The first one is kept.
    """
    if not (refractory_us and len(events.t_us)):
        return events
    times = events.t_us - events.t_us[0]
    pixel = events.y.astype(np.int64) * events.width + events.x
    # pixel after pixel on one axis, so far apart that none is refractory for the next one's events
    position = pixel * (int(times[-1]) + refractory_us + 1) + times
    order = np.argsort(position, kind="stable")
    position = position[order]
    following = np.searchsorted(position, position + refractory_us, side="right").tolist()
    kept, number = list[int](), 0
    while number < len(following):
        kept.append(number)
        number = following[number]
    return picked(events, np.sort(order[kept]))
