"""Add noise to recordings of events by tonic's functional transforms: events lost, events added.

tonic draws from NumPy's one generator for the whole process: each call here seeds it for its own
clip and restores its state. Seeds are made by `event_noise_seed`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import UsageError
from pipelines.readers.events import MAX_EVENTS, Events
from pipelines.signal.counter_rng import key_of

Kind = Literal["drop", "rate"]
# floats: its draws are cut to whole numbers in `_merged`, not by the type of a column here
TONICS = np.dtype([(name, np.float64) for name in "xytp"])


def event_noise_seed(seed: int, clip_id: str, modality: str, kind: Kind, level: float) -> int:
    """Return the seed of a clip's noise at one level; no other clip, input or level changes it."""
    # + 0.0: 5 and 5.0 are one level, and so are 0.0 and -0.0
    return key_of("event noise", seed, modality, kind, float(level) + 0.0, clip_id)


def with_event_noise(events: Events, kind: Kind, level: float, seed: int) -> Events:
    """Return a recording with noise of a kind: level is the share to drop, or a rate in Hz."""
    return drop(events, level, seed) if kind == "drop" else add(events, level, seed)


def drop(events: Events, share: float, seed: int) -> Events:
    """Drop a share of the events at random: of n, exactly floor(share · n + 1/2).

    share: 0..1. Those that stay are in their order; with 1 the recording is empty.
    """
    from tonic.functional import drop_event_numpy

    if not 0 <= share <= 1:
        raise ValueError(f"share must lie in 0..1, got {share}")
    with numpy_seeded(seed):
        kept = drop_event_numpy(np.arange(len(events.t_us)), share)
    return picked(events, kept)


def add(
    events: Events, rate_hz: float, seed: int, pixels: NDArray[np.int64] | None = None
) -> Events:
    """Add events that come from no scene: rate_hz a pixel and second, evenly over all of it.

    That is n = round(rate_hz · width · height · span) events, of either polarity with equal
    chance, at any pixel and any time between the first and the last of the recording's own, whose
    span is in s. A recording of height 1, a cochlea's, has channels for pixels and no polarity.
    A recording without events has no span, and stays empty. In the same microsecond the recording's
    own events come first. pixels: y · width + x of the only ones that get events; with n of them
    the number is round(rate_hz · n · span). Raises UsageError for more than 2^26 events.
    """
    from tonic.functional import uniform_noise_numpy

    if not rate_hz >= 0:
        raise ValueError(f"rate_hz must not be negative, got {rate_hz}")
    span_us = int(events.t_us[-1] - events.t_us[0]) if len(events.t_us) else 0
    columns, lines = (events.width, events.height) if pixels is None else (len(pixels), 1)
    count = round(rate_hz * columns * lines * span_us * 1e-6)
    if not count:
        return events
    if count + len(events.t_us) > MAX_EVENTS:
        raise UsageError(
            f"{rate_hz:g} events a pixel and second are {count} in a recording of "
            f"{span_us * 1e-6:g} s, at most {MAX_EVENTS}",
            "choose a lower rate",
        )
    # tonic takes its bounds of time from what it adds to: the two ends are enough
    ends = np.zeros(2, TONICS)
    ends["t"] = events.t_us[[0, -1]]
    polarities = 1 if events.height == 1 else 2
    with numpy_seeded(seed):
        drawn = uniform_noise_numpy(ends, (columns, lines, polarities), count)
    noise = drawn[1:-1]  # sorted by time, in which the ends are first and last
    x, y = noise["x"], noise["y"]
    if pixels is not None:
        y, x = np.divmod(pixels[x.astype(np.int64)], events.width)
    return _merged(events, noise["t"], x, y, noise["p"])


def picked(events: Events, numbers: NDArray[np.int64]) -> Events:
    """Return the events of these numbers, in that order."""
    return events._replace(
        t_us=events.t_us[numbers], x=events.x[numbers], y=events.y[numbers], p=events.p[numbers]
    )


def in_order_of_time(events: Events) -> Events:
    """Sort the events by time; those of the same microsecond stay in their order."""
    # stable: a sort that is not would differ from one processor to another
    return picked(events, np.argsort(events.t_us, kind="stable"))


def _merged(events: Events, t_us: Any, x: Any, y: Any, p: Any) -> Events:
    """Put more events among those of a recording, in order of time."""
    together = events._replace(
        t_us=np.concatenate([events.t_us, t_us.astype(np.int64)]),
        x=np.concatenate([events.x, x.astype(np.int16)]),
        y=np.concatenate([events.y, y.astype(np.int16)]),
        p=np.concatenate([events.p, p.astype(np.uint8)]),
    )
    return in_order_of_time(together)


@contextmanager
def numpy_seeded(seed: int) -> Iterator[None]:
    """Seed NumPy's global generator for the block; restore its state after it."""
    state = np.random.get_state()
    np.random.seed([seed & 0xFFFFFFFF, seed >> 32])
    try:
        yield
    finally:
        np.random.set_state(state)
