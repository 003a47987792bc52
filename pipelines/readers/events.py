"""Events of an event camera or a silicon cochlea: one recording, or a batch of them."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import DataError
from pipelines.readers.hints import FETCH_RECORDING

if TYPE_CHECKING:
    from torch import Tensor

MAX_EVENTS = 1 << 26  # 0.9 GB as Events


class Events(NamedTuple):
    """One recording, in order of time.

    t_us: (n,) int64, microseconds, ascending. x, y: (n,) int16, column and row, from the upper
    left. p: (n,) uint8, polarity: 1 brighter, 0 darker. height, width: of the sensor. Spikes of
    a cochlea are events of height 1: x is the channel, y and p are 0.
    """

    t_us: NDArray[np.int64]
    x: NDArray[np.int16]
    y: NDArray[np.int16]
    p: NDArray[np.uint8]
    height: int
    width: int


class EventBatch(NamedTuple):
    """Several recordings of one sensor, one after the other, as tensors on one device.

    recording: (n,) int64, which of the `recordings` an event belongs to, ascending; t_us (n,)
    int64; x, y, p (n,) int64. A recording may be empty.
    """

    recording: "Tensor"
    t_us: "Tensor"
    x: "Tensor"
    y: "Tensor"
    p: "Tensor"
    recordings: int
    height: int
    width: int


def checked(events: Events, path: Path | str) -> Events:
    """Return the events; raise DataError, naming the file, where they are not what they must be.

    Refused: times that run backwards or are negative, places beyond the sensor, a polarity that
    is neither 0 nor 1, more than 2^26 events. An empty recording is no fault of its form.
    """
    if len(events.t_us) > MAX_EVENTS:
        raise DataError(f"{path}: {len(events.t_us)} events, at most {MAX_EVENTS}", FETCH_RECORDING)
    if not len(events.t_us):  # the least and greatest of nothing would raise ValueError
        return events
    if (np.diff(events.t_us) < 0).any() or events.t_us[0] < 0:
        raise DataError(f"{path}: times that run backwards", FETCH_RECORDING)
    for name, values, end in (
        ("x", events.x, events.width),
        ("y", events.y, events.height),
        ("p", events.p, 2),
    ):
        if values.min() < 0 or values.max() >= end:
            raise DataError(
                f"{path}: {name} from {values.min()} to {values.max()}, not 0 to {end - 1}",
                FETCH_RECORDING,
            )
    return events
