"""SLoClas' files as their names describe them all together, and what was played in each."""

from collections import defaultdict
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

from pipelines.clips.protocols import ENOUGH
from pipelines.datasets._sloclas_names import CLASSES, azimuth, described, is_noise
from pipelines.datasets._sloclas_table import Part
from pipelines.errors import DataError

# the paper's "from 1 to 360 degrees at an interval of 5" may be 1, 6, 11 … or 1, 5, 10 …
LEAST_STEP_DEG = 4
LAYOUT_HINT = "write a table with columns file,class,azimuth_deg and name it in data.layout"


def sound_files(folder: Path) -> list[str]:
    """List the sound files below a folder, by their paths in it."""
    return sorted(
        file.relative_to(folder).as_posix()
        for file in folder.rglob("*")
        if file.suffix.lower() == ".wav"
    )


def named(folder: Path) -> list[Part]:
    """Describe the files by their names.

    Raises DataError listing some that say too little, and where numbers are no azimuths of a data
    set in which every sound was played from azimuths 5 degrees apart.
    """
    names = sound_files(folder)
    if not names:
        raise DataError(f"no .wav files in {folder}", "avsnn download sloclas")
    parts, unclear, unnamed = [], [], defaultdict(set)
    for name in names:
        found = described(name) if name.isprintable() else None
        angle = azimuth(name)
        if found is not None and angle is not None:
            parts.append(Part(name, *found, None, None, "", angle.sound))
            if not angle.is_marked:
                unnamed[found[0]].add(angle.degrees)
        elif not is_noise(name):
            unclear.append(name)
    if unclear or not parts:
        unclear = unclear or names
        raise DataError(
            f"{len(unclear)} of {len(names)} file names do not say class and azimuth without "
            f"doubt, such as {', '.join(map(ascii, unclear[:3]))}",
            LAYOUT_HINT,
        )
    if fault := _odd_azimuths({part.azimuth_deg for part in parts}) or _own_numbers(unnamed):
        raise DataError(f"file names in {folder} have {fault}", LAYOUT_HINT)
    return parts


def by_sound(parts: Iterable[Part], *, by_table: bool) -> list[Part]:
    """Make each dry sound the recording that must not be split.

    Raises DataError if that is not told: every sound was played from every azimuth, so that a name
    which stays the same at all of them is a sound's, and a number that runs on is not.
    """
    parts = list(parts)
    azimuths_of, sounds_of = defaultdict(set), defaultdict(set)
    for part in parts:
        azimuths_of[part.label, part.sound].add(part.azimuth_deg)
        sounds_of[part.label].add(part.sound)
    every, fault = {part.azimuth_deg for part in parts}, ""
    for (label, sound), azimuths in sorted(azimuths_of.items()):
        kind = CLASSES[label]
        if not sound:
            fault = f"a file of {kind} has no dry sound"
        elif not by_table and azimuths != every:
            fault = f"{sound!a} is at {len(azimuths)} of {len(every)} azimuths, so no dry sound"
        elif len(sounds_of[label]) < ENOUGH:
            fault = f"{kind} has {len(sounds_of[label])} dry sounds, fewer than {ENOUGH}"
        if fault:
            raise DataError(
                f"leave-sound-out: {fault}",
                "write the dry sound into the column sound of the table in data.layout"
                if by_table
                else f"the names do not tell; {LAYOUT_HINT}, with a column sound",
            )
    return [part._replace(recording=f"{CLASSES[part.label]}: {part.sound}") for part in parts]


def _odd_azimuths(azimuths: Iterable[float]) -> str:
    """Say which azimuths are too near to each other: takes that are numbered."""
    for before, after in pairwise(sorted(azimuths)):
        if after - before < LEAST_STEP_DEG:
            return (
                f"the azimuths {before:g} and {after:g}, but the data set's are 5 degrees apart: "
                "these numbers mean something else"
            )
    return ""


def _own_numbers(unnamed: dict[int, set[int]]) -> str:
    """Say for which class there is but one number, and no word that makes it an azimuth."""
    for label, numbers in sorted(unnamed.items()):
        if len(numbers) == 1:
            return (
                f"no number but {min(numbers)} for {CLASSES[label]}, which may be the class's own "
                "and not an azimuth"
            )
    return ""
