"""Real talking faces: each clip gives its 75 frames, and its sound in step with them."""

import itertools

import numpy as np
import pytest

from pipelines.readers.film_sound import read_sound
from pipelines.readers.video import count_frames, read_frames


@pytest.fixture(scope="module")
def films(mirror):
    found = sorted((mirror / "grid-video").glob("*.mpg"))
    assert len(found) >= 10
    return found


def test_each_clip_has_75_frames_and_sound_for_as_long(films):
    for path in films:
        assert count_frames(path) == 75, path.name
        waveform, rate = read_sound(path)
        assert (rate, len(waveform)) == (44_100, 2)
        # 114 frames of 1,152 samples: the whole ones that fit into 75 frames at 25 a second
        assert waveform.shape[1] == 114 * 1152
        assert 0 <= 75 / 25 - waveform.shape[1] / rate < 1 / 25


def test_frames_are_faces_that_move_a_little(films):
    for path in films:
        frames = read_frames(path, pick="even", frames=5, pick_seed=0, name=path.stem)
        assert frames.shape == (5, 288, 360, 3)
        grey = frames.astype(np.float32).mean(3)
        assert grey.std() > 20  # neither black nor grey
        moved = np.abs(np.diff(grey, axis=0)).mean((1, 2))
        assert (moved > 0.1).all() and (moved < 20).all()


def test_the_mouth_moves_when_there_is_sound(films):
    """In step: over the clips, the picture's lower half moves more where the sound is loud."""
    correlations = []
    for path in films:
        frames = read_frames(path, pick="even", frames=75, pick_seed=0, name=path.stem)
        mouth = frames[:, 160:, 110:250].astype(np.float32).mean(3)
        moves = np.abs(np.diff(mouth, axis=0)).mean((1, 2))
        waveform, rate = read_sound(path)
        edges = (np.arange(76) * rate / 25).astype(int)
        loud = np.array(
            [
                np.sqrt((waveform[:, a:b] ** 2).mean()) if b <= waveform.shape[1] else 0
                for a, b in itertools.pairwise(edges)
            ]
        )
        smooth = lambda x: np.convolve(x, np.ones(7) / 7, "same")  # noqa: E731
        correlations.append(np.corrcoef(smooth(moves), smooth(loud[1:]))[0, 1])
    assert np.mean(correlations) > 0.3, correlations
