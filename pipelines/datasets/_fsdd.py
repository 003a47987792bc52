"""List the Free Spoken Digit Dataset, whose files are named "<digit>_<speaker>_<index>.wav"."""

import re
from pathlib import Path
from typing import NamedTuple

from pipelines.datasets._names import listed

NAME = re.compile(r"([0-9])_([a-z]+)_(0|[1-9][0-9]?)")
TEST_BELOW = 5  # indices 0 to 4 are the official test part


class Recording(NamedTuple):
    """A recording: one digit, spoken by one speaker, in one of its takes."""

    digit: int
    speaker: str
    take: int

    @property
    def name(self) -> str:
        """Return the file's name without its suffix."""
        return f"{self.digit}_{self.speaker}_{self.take}"

    @property
    def is_test(self) -> bool:
        """Return whether the recording is in the official test part."""
        return self.take < TEST_BELOW


def recordings(raw: Path) -> list[Recording]:
    """List the recordings, sorted. Raises DataError naming a file of another form."""
    matches = listed(raw / "fsdd" / "recordings", ".wav", NAME)
    return sorted(Recording(int(match[1]), match[2], int(match[3])) for match in matches)
