"""Describe SLoClas' files by all of their names together, and group them by dry sound."""

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
    """Return the files with the class and azimuth that their names give.

    Raises DataError listing some names that give too little, and for numbers that cannot be
    azimuths of a data set in which every sound was played from azimuths 5 degrees apart.
    """
    names = sound_files(folder)
    if not names:
        raise DataError(f"no .wav files in {folder}", "avsnn download sloclas")
    parts, unclear, unnamed = [], [], defaultdict(set)
    for name in names:
        class_and_azimuth = described(name) if name.isprintable() else None
        angle = azimuth(name)
        if class_and_azimuth is not None and angle is not None:
            parts.append(Part(name, *class_and_azimuth, None, None, "", angle.sound))
            # a bare number may be the class's own (bell5): judged below, by all files of the class
            if not angle.is_marked:
                unnamed[class_and_azimuth[0]].add(angle.degrees)
        elif not is_noise(name):
            unclear.append(name)
    if unclear or not parts:
        unclear = unclear or names
        raise DataError(
            f"{len(unclear)} of {len(names)} file names do not give class and azimuth "
            f"unambiguously, such as {', '.join(map(ascii, unclear[:3]))}",
            LAYOUT_HINT,
        )
    if fault := _odd_azimuths({part.azimuth_deg for part in parts}) or _own_numbers(unnamed):
        raise DataError(f"file names in {folder} have {fault}", LAYOUT_HINT)
    return parts


def by_sound(parts: Iterable[Part], *, by_table: bool) -> list[Part]:
    """Return the parts with their dry sound as the recording that must not be split.

    by_table: the user's table names the sounds. Raises DataError for a file without a dry sound,
    for names that cannot be those of dry sounds, and for a class with too few sounds to split.
    """
    parts = list(parts)
    azimuths_of, sounds_of = defaultdict(set), defaultdict(set)
    for part in parts:
        azimuths_of[part.label, part.sound].add(part.azimuth_deg)
        sounds_of[part.label].add(part.sound)
    # every sound was played from every azimuth: a name that is the same at all of them is a
    # sound's, a number that counts takes is not
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
                else f"the names do not identify it; {LAYOUT_HINT}, with a column sound",
            )
    return [part._replace(recording=f"{CLASSES[part.label]}: {part.sound}") for part in parts]


def _odd_azimuths(azimuths: Iterable[float]) -> str:
    """Return which azimuths are too near to each other, so that they number takes, or ""."""
    for before, after in pairwise(sorted(azimuths)):
        if after - before < LEAST_STEP_DEG:
            return (
                f"the azimuths {before:g} and {after:g}, but the data set's are 5 degrees apart: "
                "these numbers mean something else"
            )
    return ""


def _own_numbers(unnamed: dict[int, set[int]]) -> str:
    """Return which class has one number alone and no word that makes it an azimuth, or ""."""
    for label, numbers in sorted(unnamed.items()):
        if len(numbers) == 1:
            return (
                f"no number but {min(numbers)} for {CLASSES[label]}, which may be the class's own "
                "and not an azimuth"
            )
    return ""
