"""A model of an event camera: a pixel fires when its log intensity has moved by a threshold.

No noise, no refractory time, no mismatch between pixels: a twin for tests and first steps.
"""

import numpy as np
from numpy.typing import NDArray

from pipelines.readers.events import Events

TINY = 1e-9  # a move by exactly k thresholds is k events, whatever the last bit says


def camera_events(
    intensity: NDArray[np.float64], times_us: NDArray[np.int64], threshold: float
) -> Events:
    """Turn a film into events (log-intensity threshold model, linear between frames).

    intensity: (frames, H, W), above 0, any unit. times_us: (frames,) ascending. threshold: θ, of
    the natural logarithm. Each pixel remembers a level, at first that of its first frame; when
    its log intensity reaches level ± θ it fires, p = 1 upwards and 0 downwards, and the level
    moves there. Events are in order of time, then row, then column.
    Source: Rebecq et al., ESIM: an Open Event Camera Simulator, CoRL 2018, Sec. 3.
    """
    logarithm = np.log(intensity)
    level = (logarithm - logarithm[0]) / threshold
    # frame by frame: where a pixel stands depends on which way it came (hysteresis)
    reached = np.zeros(level.shape, np.int64)
    for now in range(1, len(level)):
        distance = level[now] - reached[now - 1]
        reached[now] = reached[now - 1] + np.trunc(distance + np.copysign(TINY, distance))
    moves = np.diff(reached, axis=0)
    frame, row, column = np.nonzero(moves)
    move: NDArray[np.int64] = moves[frame, row, column]
    count = np.abs(move)
    # one row for each event: a pixel may cross several thresholds between two frames
    which = np.repeat(np.arange(len(move)), count)
    nth = np.arange(len(which)) - np.repeat(np.cumsum(count) - count, count) + 1
    frame, row, column, sign = frame[which], row[which], column[which], np.sign(move)[which]
    before, after = level[frame, row, column], level[frame + 1, row, column]
    crossed = reached[frame, row, column] + sign * nth
    # TINY may put a crossing a last bit beyond the frame
    share = np.clip((crossed - before) / (after - before), 0.0, 1.0)
    t_us = np.rint(times_us[frame] + share * (times_us[frame + 1] - times_us[frame]))
    order = np.lexsort((column, row, t_us))
    return Events(
        t_us[order].astype(np.int64),
        column[order].astype(np.int16),
        row[order].astype(np.int16),
        (sign[order] > 0).astype(np.uint8),
        intensity.shape[1],
        intensity.shape[2],
    )
