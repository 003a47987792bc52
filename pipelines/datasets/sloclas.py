"""SLoClas: ten kinds of sound from 72 azimuths, recorded with a 4-microphone array.

The file names are not published: class and azimuth are read off folder and file names by the rules
of `described`, and a name that can be read in two ways stops the listing. `data.layout` then names
a table of the files. The noise recordings are left out.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from pipelines.clips.clips import Clip
from pipelines.clips.protocols import chosen, chosen_groups
from pipelines.datasets._sloclas_files import by_sound, named, sound_files
from pipelines.datasets._sloclas_names import CLASSES, is_noise
from pipelines.datasets._sloclas_table import Part, read_layout
from pipelines.disk.paths import user_path
from pipelines.errors import DataError
from pipelines.readers.spans import fitted, header, read_span, source_name

VERSION = 2
IN_PLACE = ("layout",)
MICROPHONES = 4
FOLDER = "sloclas"
TEST_SHARE, VALIDATION_SHARE = 0.3, 0.1


def pairs(
    raw: Path,
    *,
    protocol: Annotated[
        Literal["paper", "grouped", "leave-azimuth-out", "leave-sound-out"],
        Field(
            description="What is held out: paper holds out segments, grouped recordings, "
            "leave-azimuth-out azimuths, leave-sound-out dry sounds."
        ),
    ] = "paper",
    seed: Annotated[
        int, Field(ge=0, description="Seed of the split; the authors shuffle with 7.")
    ] = 7,
    segment_s: Annotated[
        float,
        Field(
            ge=0.1, le=60, description="Length in s of the clips that long recordings are cut into."
        ),
    ] = 1.0,
    longest_segment_s: Annotated[
        float, Field(ge=0.1, le=60, description="Length in s up to which a file is one clip.")
    ] = 4.0,
    rate_hz: Annotated[
        int,
        Field(
            ge=8000,
            le=192_000,
            description="Sampling rate of the files in Hz; files of another rate are excluded.",
        ),
    ] = 48_000,
    layout: Annotated[
        str,
        Field(
            description="Table of the files (.csv or .jsonl); empty reads class and azimuth "
            "off their names."
        ),
    ] = "",
) -> list[Clip]:
    """List the segments, 70 % for training (a tenth of it for validation), 30 % for testing.

    Raises DataError for a missing data set, a damaged layout, and names without class or azimuth,
    with the first of them; for leave-sound-out also if the dry sounds cannot be identified.
    """
    parts = read_layout(user_path(layout, DataError)) if layout else named(raw / FOLDER)
    if protocol == "leave-sound-out":
        parts = by_sound(parts, by_table=bool(layout))
    clips: list[Clip] = []
    # a header is read once for a file, however many rows of the table it has
    for path, of_file in _by_file(parts).items():
        seconds, fault = header(raw / FOLDER / path, MICROPHONES, rate_hz)
        for part in of_file:
            clips += _clips(part, seconds, fault, segment_s, longest_segment_s)
    doubled = [name for name, count in Counter(clip.id for clip in clips).items() if count > 1]
    if doubled:
        raise DataError(f"{doubled[0]} is listed twice", "every span of a file is one clip")
    return _split(clips, protocol, seed)


def remarks(raw: Path, *, protocol: str, layout: str) -> list[str]:
    """Return lines on the files left out by their names, and on what was taken for a dry sound."""
    if layout:
        return []
    noises, lines = sum(map(is_noise, sound_files(raw / FOLDER))), []
    if noises:
        lines.append(f"{noises} files are named after noises and left out")
    if protocol == "leave-sound-out":
        parts = named(raw / FOLDER)
        sounds, azimuths = (
            {getattr(part, of) for part in parts} for of in ("sound", "azimuth_deg")
        )
        lines.append(
            f"dry sounds, by the names without the azimuth: {len(sounds)}, "
            f"each from {len(azimuths)} azimuths"
        )
    return lines


def audio(raw: Path, source: str) -> tuple[np.ndarray, int]:
    """Read a clip "sloclas/<file>[#<start>-<end>]": (4, samples) float32, and the rate in Hz.

    Raises DataError as `read_span` does.
    """
    return read_span(raw, source, MICROPHONES)


def _clips(
    part: Part, seconds: float, fault: str, segment_s: float, longest_s: float
) -> Iterator[Clip]:
    """Iterate over the clips of a part: one of a short file, several without overlap of a long one.

    seconds: length of the file. fault: why it cannot be used, or "".
    """
    path = f"{FOLDER}/{part.file}"
    # which recording a short file was cut from is not known: all of one class at one azimuth
    whole = part.recording or f"{CLASSES[part.label]}-{part.azimuth_deg:g}"
    clip = Clip(
        part.file, "", part.label, whole, path, "", azimuth_deg=part.azimuth_deg, excluded=fault
    )
    if part.start_s is not None and part.end_s is not None:
        end_s, beyond = fitted(part.start_s, part.end_s, seconds)
        spans, fault = [(part.start_s, end_s)], fault or beyond
    elif fault or seconds <= longest_s:
        yield clip
        return
    else:
        # the last, shorter piece is left out
        # 1e-6: 0.3 / 0.1 is 2.9999999999999996, and a last whole piece would be lost
        count = int(seconds / segment_s + 1e-6)
        spans = [(k * segment_s, (k + 1) * segment_s) for k in range(count)]
    for start, end in spans:
        source = source_name(path, start, end)
        yield replace(
            clip,
            id=source.removeprefix(f"{FOLDER}/"),
            audio=source,
            start_s=start,
            end_s=end,
            group=part.recording or part.file,
            excluded=fault,
        )


def _split(clips: list[Clip], protocol: str, seed: int) -> list[Clip]:
    """Return the clips with their split: 30 % for test, then 10 % of the rest for validation."""

    def held_out(among: list[Clip], share: float, purpose: str) -> set[str]:
        labels = {clip.id: clip.label for clip in among}
        if protocol == "paper":
            return chosen(labels, share, seed, purpose)
        if protocol in ("grouped", "leave-sound-out"):
            groups = {clip.id: clip.group for clip in among}
            return chosen_groups(groups, labels, share, seed, purpose)
        # one class for all: an azimuth is held out with the sounds of every class
        azimuths = {clip.id: f"{clip.azimuth_deg:g}" for clip in among}
        return chosen_groups(azimuths, dict.fromkeys(labels, 0), share, seed, purpose)

    test = held_out(clips, TEST_SHARE, "test")
    rest = [clip for clip in clips if clip.id not in test]
    validation = held_out(rest, VALIDATION_SHARE, "validation")
    return [
        replace(
            clip,
            split="test" if clip.id in test else "validation" if clip.id in validation else "train",
        )
        for clip in clips
    ]


def _by_file(parts: list[Part]) -> dict[str, list[Part]]:
    files: dict[str, list[Part]] = {}
    for part in parts:
        files.setdefault(part.file, []).append(part)
    return dict(sorted(files.items()))
