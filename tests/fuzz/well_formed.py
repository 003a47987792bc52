"""What holds of every clip, whatever it was read from."""

import math
from collections.abc import Sequence

from pipelines.clips.clips import SPLITS, Clip

TEXTS = ("id", "split", "group", "audio", "visual", "speaker", "excluded")


def check_clips(clips: Sequence[Clip], classes: Sequence[str] | None = None) -> None:
    """Raise AssertionError for a clip that no stage could have made."""
    for clip in clips:
        texts = [getattr(clip, name) for name in TEXTS]
        assert all(type(text) is str for text in texts), clip
        assert all(text.encode() is not None for text in texts), clip
        assert clip.split in SPLITS
        assert type(clip.label) is int and 0 <= clip.label < (len(classes) if classes else 2**31)
        for number in (clip.start_s, clip.end_s, clip.azimuth_deg):
            assert number is None or (type(number) in (int, float) and math.isfinite(number)), clip
        assert clip.azimuth_deg is None or 0 <= clip.azimuth_deg < 360, clip
