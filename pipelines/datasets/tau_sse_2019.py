"""TAU Spatial Sound Events 2019 (DCASE 2019 task 3), microphone array: its single sound events.

The recordings without overlapping events are cut into their events: a clip is one event, its
class and the azimuth of its loudspeaker; the elevation (-40 to 40 degrees) is not used. Of the
development set these are the 200 recordings named ov1; the evaluation set's names do not
tell the two kinds apart: a recording counts there if no two of its labelled events overlap.
"""

import csv
import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import numpy as np
from pydantic import Field

from pipelines.clips.clips import Clip
from pipelines.clips.protocols import chosen_groups
from pipelines.datasets._names import listed
from pipelines.errors import DataError
from pipelines.readers.spans import fitted, header, read_span, source_name

VERSION = 1
MICROPHONES = 4
RATE_HZ = 48_000
# label = index, as the metadata's authors count them
CLASSES = (
    "knock",
    "drawer",
    "clearthroat",
    "phone",
    "keysDrop",
    "speech",
    "keyboard",
    "pageturn",
    "cough",
    "doorslam",
    "laughter",
)
COLUMNS = ["sound_event_recording", "start_time", "end_time", "ele", "azi", "dist"]
NAMES = {
    "dev": re.compile(r"split([1-4])_ir[0-4]_ov([12])_[1-9][0-9]{0,2}"),
    "eval": re.compile(r"split(0)()_[1-9][0-9]{0,2}"),
}
OVERLAPPING = "2"  # of a development name: events sound at the same time
MAX_TABLE_BYTES = 1 << 20
FOLDS = 4


class Event(NamedTuple):
    """A row of a recording's table."""

    start_s: float
    end_s: float
    label: int
    azimuth_deg: float


def pairs(
    raw: Path,
    *,
    protocol: Annotated[
        Literal["official-folds", "evaluation-set"],
        Field(
            description="How clips are split: official-folds tests on one of four folds, "
            "evaluation-set trains on all four and tests on the evaluation set."
        ),
    ] = "official-folds",
    test_fold: Annotated[
        int,
        Field(
            ge=1,
            le=4,
            description="Fold that official-folds tests on; the next split is for validation.",
        ),
    ] = 1,
    seed: Annotated[
        int,
        Field(ge=0, description="Seed by which evaluation-set draws its validation recordings."),
    ] = 0,
) -> list[Clip]:
    """List the events. Raises DataError for missing files or a damaged table.

    official-folds: the challenge's rotation; test split k, validation split k + 1 (1 after 4),
    training the other two. An event beyond the end of its recording is excluded with the reason.
    """
    clips = []
    for name, fold in _recordings(raw):
        validation_fold = test_fold % FOLDS + 1
        if protocol == "official-folds":
            split = {test_fold: "test", validation_fold: "validation"}.get(fold, "train")
        else:
            split = "train"
        clips += _clips(raw, "mic_dev", name, split, read_table(_table(raw, "dev", name)))
    if protocol == "official-folds":
        return clips
    groups = {clip.id: clip.group for clip in clips}
    # whole recordings, of all classes at once: most hold many classes
    validation = chosen_groups(groups, dict.fromkeys(groups, 0), 0.1, seed, "validation")
    clips = [replace(clip, split="validation") if clip.id in validation else clip for clip in clips]
    test_clips = []
    for name in _names(raw, "eval"):
        events = read_table(_table(raw, "eval", name))
        if not overlap(events):
            test_clips += _clips(raw, "mic_eval", name, "test", events)
    return clips + test_clips


def audio(raw: Path, source: str) -> tuple[np.ndarray, int]:
    """Read an event "mic_dev/<recording>.wav#<start>-<end>": (4, samples) float32, and 48 kHz.

    Raises DataError for another rate, and as `read_span` does.
    """
    waveforms, rate_hz = read_span(raw, source, MICROPHONES)
    if rate_hz != RATE_HZ:
        raise DataError(f"{source}: {rate_hz} Hz, not {RATE_HZ} Hz", "fetch the recording again")
    return waveforms, rate_hz


def read_table(path: Path) -> list[Event]:
    """Read a recording's events, in order of time. Raises DataError naming the line at fault."""
    hint = "avsnn download tau-sse-2019"
    if not path.is_file():
        raise DataError(f"{path}: no such file", hint)
    if path.stat().st_size > MAX_TABLE_BYTES:
        raise DataError(f"{path}: above {MAX_TABLE_BYTES} bytes, not a table of events", hint)
    line, events = 1, []
    try:
        rows = csv.reader(path.read_text(encoding="utf-8-sig").splitlines())
        if next(rows, None) != COLUMNS:
            raise ValueError(f"the columns must be {','.join(COLUMNS)}")
        for line, row in enumerate(rows, 2):  # noqa: B007  (the handler names it)
            if row:
                events.append(_event(row))
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"{path}:{line}: {error}", hint) from error
    return sorted(events)


def overlap(events: Sequence[Event]) -> bool:
    """Return whether two events sound at the same time. events: in order of their start."""
    # neighbours are enough: of events in order, the first overlap is between two neighbours
    return any(after.start_s < before.end_s for before, after in pairwise(events))


def _event(row: list[str]) -> Event:
    """Return the event of a row. Raises ValueError."""
    if len(row) != len(COLUMNS):
        raise ValueError(f"{len(row)} fields, not {len(COLUMNS)}")
    if row[0] not in CLASSES:
        raise ValueError(f"no class {row[0][:40]!r}")
    start, end, _, azimuth, _ = map(float, row[1:])
    if not (0 <= start < end < 3600 and -180 <= azimuth <= 180):
        raise ValueError("times must ascend from 0 s, and azimuths lie in -180 to 180 degrees")
    # the table counts azimuths from -180 to 180, a clip from 0 to 360
    return Event(start, end, CLASSES.index(row[0]), azimuth % 360)


def _clips(raw: Path, folder: str, name: str, split: str, events: Sequence[Event]) -> list[Clip]:
    """Return a clip for each event of a recording; fault and length come from the file's header."""
    path = f"{folder}/{name}.wav"
    seconds, fault = header(raw / path, MICROPHONES, RATE_HZ)
    clips = []
    for number, event in enumerate(events):
        end_s, beyond = fitted(event.start_s, event.end_s, seconds)
        clips.append(
            Clip(
                f"{name}-{number:02d}",
                split,
                event.label,
                name,
                source_name(path, event.start_s, end_s),
                "",
                start_s=event.start_s,
                end_s=end_s,
                azimuth_deg=event.azimuth_deg,
                excluded=fault or beyond,
            )
        )
    return clips


def _recordings(raw: Path) -> list[tuple[str, int]]:
    """Return the development set's recordings without overlap, with their fold.

    Raises DataError if a fold has none.
    """
    recordings = [(name, int(name[len("split")])) for name in _names(raw, "dev")]
    missing = set(range(1, FOLDS + 1)) - {fold for _, fold in recordings}
    if missing:
        raise DataError(
            f"no recordings split{min(missing)}_ir*_ov1_*.wav in {raw / 'mic_dev'}",
            "avsnn download tau-sse-2019",
        )
    return recordings


def _names(raw: Path, part: str) -> list[str]:
    """Return recordings without overlap, sorted. Raises DataError for a sound without its table."""
    sounds, tables = (
        {match[0] for match in listed(raw / folder, suffix, NAMES[part]) if match[2] != OVERLAPPING}
        for folder, suffix in ((f"mic_{part}", ".wav"), (f"metadata_{part}", ".csv"))
    )
    if not sounds and part == "eval":
        raise DataError(f"no recordings in {raw / 'mic_eval'}", "avsnn download tau-sse-2019")
    # an interrupted copy: fewer recordings would be another data set under the same name
    odd = sounds ^ tables
    if odd:
        lacking = "table in metadata" if min(odd) in sounds else "sound in mic"
        raise DataError(f"{min(odd)}: no {lacking}_{part}", "avsnn download tau-sse-2019")
    return sorted(sounds)


def _table(raw: Path, part: str, name: str) -> Path:
    return raw / f"metadata_{part}" / f"{name}.csv"
