"""The azimuth of real speech: a ReSpeaker's recordings with one speaker at 180 degrees.

The label is in the folder's name (a180e20: azimuth 180, elevation 20 degrees); the tables beside
the folders are what the authors' program found, not labels. The recordings with two and three
speakers are labelled as a whole, no frame of them as one speaker's, so they are not used. The
microphones stand as the authors' program has them, on the corners of a square of 45.7 mm.
"""

import numpy as np
import pytest
import soundfile

from pipelines.signal.arrays import RESPEAKER_V2, srp_phat

GRID = np.arange(360.0)
NAMES = [
    "150cm/a180e19_3_1b845200",
    "150cm/a180e19_3_1ba56980",
    "250cm/a180e19_3_1b341800",
    "250cm/a180e19_3_1bd20000",
    "50cm/a180e19_3_1b6ede00",
    "50cm/a180e19_3_1b85f880",
]


def error_deg(found, label):
    return abs((found - label + 180) % 360 - 180)


def recording(mirror, name):
    samples, rate_hz = soundfile.read(mirror / "respeaker-doa" / "data" / "a180e20" / f"{name}.wav")
    return samples.T, rate_hz


@pytest.mark.parametrize("name", NAMES)
def test_a_single_speaker_is_found_within_5_degrees(mirror, name):
    heard, rate_hz = recording(mirror, name)
    assert (len(heard), rate_hz) == (4, 16_000)
    power = srp_phat(heard, rate_hz, RESPEAKER_V2, GRID, elevation_deg=20)
    assert error_deg(GRID[power.argmax()], 180) <= 5


@pytest.mark.parametrize("name", NAMES)
def test_turning_the_array_turns_the_azimuth(mirror, name):
    """All labels are 180: handing the channels round by a quarter makes 90, 0 and 270 of them."""
    heard, rate_hz = recording(mirror, name)
    for quarters in range(4):
        turned = np.roll(heard, quarters, axis=0)
        power = srp_phat(turned, rate_hz, RESPEAKER_V2, GRID, elevation_deg=20)
        assert error_deg(GRID[power.argmax()], 180 + 90 * quarters) <= 5
