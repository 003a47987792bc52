"""Your own data: class folders of sounds, images or videos, or a table of clips.

Read in place, never copied. See docs/datasets/folder.md.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from pipelines.clips import class_names
from pipelines.clips import in_place as own_files
from pipelines.clips.clips import Clip
from pipelines.clips.content import hashes
from pipelines.datasets import _folder_files as files
from pipelines.datasets import _folder_groups as groups
from pipelines.datasets import _folder_protocols as protocols
from pipelines.datasets import _folder_table as tables
from pipelines.datasets._folder_protocols import Protocol
from pipelines.disk.look import look
from pipelines.errors import DataError
from pipelines.readers.film_sound import read_sound
from pipelines.readers.pictures import read_picture
from pipelines.readers.sound import read_wav
from pipelines.readers.video import Pick, read_frames

VERSION = 2
LOCAL = "path"
GROUPS_FROM = "set data.group_pattern, or give a table the column group"
MAX_CLASSES = 10_000
SHOWN = 5  # kinds of files
FEWEST = 3  # clips of a class: one for each split

Share = Annotated[float, Field(gt=0, lt=1)]


def pairs(
    raw: Path,
    *,
    path: Annotated[str, Field(description="Folder on this machine that holds the clips.")],
    protocol: Annotated[
        Protocol,
        Field(
            description="How clips are split: given takes the split that the data bring, random "
            "draws by seed in each class, grouped draws whole groups by seed, auto is given where "
            "the data bring a split, else random."
        ),
    ] = "auto",
    seed: Annotated[int, Field(ge=0, description="Seed of the split.")] = 0,
    test_share: Annotated[
        Share, Field(description="Share of all clips that is for testing, in random and grouped.")
    ] = 0.2,
    validation_share: Annotated[
        Share, Field(description="Share of the clips not for testing that is for validation.")
    ] = 0.1,
    table: Annotated[
        str | None,
        Field(
            description="Table of the clips in the folder, CSV or JSON lines; null is "
            "clips.csv where there is one."
        ),
    ] = None,
    group_pattern: Annotated[
        str | None,
        Field(
            description="Regular expression whose first group, matched in a file's stem, "
            "names the clip's group; null is no pattern."
        ),
    ] = None,
) -> list[Clip]:
    """List the clips of the user's folder; a clip that cannot be used is excluded with its reason.

    Raises DataError if folder, table and protocol make no data set.
    """
    entries = _entries(raw, table)
    labels = classes(raw, table=table)
    _check_class_sizes(entries, labels)
    # a clip whose group is in the table need not match the pattern
    own = {e.name: e.group for e in entries if e.group}
    known = own | groups.recordings([e.name for e in entries if not e.group], group_pattern)
    by_label = {e.name: labels.index(e.label) for e in entries}
    splits = protocols.sides(
        entries,
        protocol,
        known,
        by_label,
        test_share=test_share,
        validation_share=validation_share,
        seed=seed,
        raw=raw,
        is_table=tables.find(raw, table) is not None,
    )
    return [
        Clip(
            e.name,
            splits.get(e.name, "train"),
            by_label[e.name],
            known[e.name],
            e.audio,
            e.visual,
            e.speaker,
            azimuth_deg=e.azimuth_deg,
            excluded=e.fault,
        )
        for e in sorted(entries)
    ]


def classes(raw: Path, *, table: str | None = None) -> tuple[str, ...]:
    """Return the class names in the order of their labels: sorted.

    Raises DataError for fewer than two classes, too many, or two spellings of one.
    """
    names = sorted({entry.label for entry in _entries(raw, table)})
    if not 2 <= len(names) <= MAX_CLASSES:
        raise DataError(
            f"{raw} has {len(names)} class{'' if len(names) == 1 else 'es'}: "
            f"{', '.join(names[:5]) or 'no folder'}",
            f"2 to {MAX_CLASSES} are needed, one folder each; docs/datasets/folder.md",
        )
    class_names.check(names, tables.find(raw, table) or raw)
    return tuple(names)


def protocol_of(raw: Path, *, table: str | None = None, protocol: Protocol = "auto") -> str:
    """Return the protocol that the clips are split by: given or random for "auto"."""
    return protocols.taken_of(_entries(raw, table), protocol)


def remarks(raw: Path, *, table: str | None = None, protocol: Protocol | None = None) -> list[str]:
    """Return lines on what is not read, and on the split unless protocol is None."""
    table_path = tables.find(raw, table)
    if table_path is not None:
        entries, lines = look(tables.read_entries, raw, table_path), tables.remarks(table_path)
    else:
        entries, ignored = look(files.entries, raw)
        lines = _kinds_not_read(ignored)
    return lines + (protocols.remarks(entries, protocol, table_path) if protocol else [])


def _kinds_not_read(ignored: Counter[str]) -> list[str]:
    kinds = ", ".join(f"{kind} ({n})" for kind, n in ignored.most_common(SHOWN))
    more = f" and {len(ignored) - SHOWN} more kinds" if len(ignored) > SHOWN else ""
    return [f"not read: {kinds}{more}"] if ignored else []


def in_place(raw: Path, *, table: str | None = None) -> own_files.Own:
    """Return the files that are read, with the table, and the clips left out with the reason."""
    table_path, entries = tables.find(raw, table), _entries(raw, table)
    sources = {name for e in entries if not e.fault for name in (e.audio, e.visual) if name}
    # the table counts by its content: a changed label makes other clips of the same files
    read = hashes(raw, sources | ({table or table_path.name} if table_path else set()))
    left_out = {e.name: e.fault for e in entries if e.fault}
    return own_files.Own(read | left_out, dict(sorted(Counter(e.label for e in entries).items())))


def audio(raw: Path, source: str) -> tuple[np.ndarray, int]:
    """Read a sound, or the sound of a video: (channels, samples) float32, rate in Hz.

    Raises DataError if it is silent from beginning to end.
    """
    path = raw / source
    is_video = path.suffix.lower() in files.VIDEOS
    waveform, rate = read_sound(path) if is_video else read_wav(path)
    if not waveform.any():
        raise DataError(f"{path}: silent from beginning to end", "leave the clip out")
    return waveform, rate


def image(raw: Path, source: str) -> np.ndarray:
    """Read an image, or the middle frame of a video: (H, W, 3) uint8."""
    path = raw / source
    if path.suffix.lower() in files.VIDEOS:
        film = read_frames(path, pick="middle", frames=1, pick_seed=0, name=source)
        return np.ascontiguousarray(film[0])
    return read_picture(path)


def video(raw: Path, source: str, *, pick: Pick, frames: int, pick_seed: int) -> np.ndarray:
    """Read frames of a video: (frames, H, W, 3) uint8; an image is a film of one frame."""
    path = raw / source
    if path.suffix.lower() in files.PICTURES:
        return np.repeat(read_picture(path)[None], frames, axis=0)
    return read_frames(path, pick=pick, frames=frames, pick_seed=pick_seed, name=source)


def _entries(raw: Path, table: str | None) -> list[files.Entry]:
    # `look` keeps the listing: a command goes through the folder once, so that its key, clips and
    # messages come from the same files
    table_path = tables.find(raw, table)
    return (
        look(tables.read_entries, raw, table_path)
        if table_path is not None
        else look(files.entries, raw)[0]
    )


def _check_class_sizes(entries: Sequence[files.Entry], labels: Sequence[str]) -> None:
    # the faults are shown beside, for they are the usual reason for a small class
    counts = Counter(entry.label for entry in entries if not entry.fault)
    small = [f"{label} ({counts[label]})" for label in labels if counts[label] < FEWEST]
    if small:
        faults = [f"\n  {e.name}: {e.fault}" for e in entries if e.fault][:5]
        raise DataError(
            f"classes with fewer than {FEWEST} usable clips: {', '.join(small)}{''.join(faults)}",
            "each needs one for training, validation and testing",
        )
