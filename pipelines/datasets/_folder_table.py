"""Read the user's table of clips, and report all its faults at once."""

import math
import os
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from pipelines.clips import class_names
from pipelines.clips.walk import LEADS_OUT, leads_out, printable
from pipelines.datasets import _folder_rows as rows
from pipelines.datasets._folder_files import PICTURES, SOUNDS, VIDEOS, Entry
from pipelines.datasets._folder_splits import SPLIT_WORDS, split_of
from pipelines.errors import DataError
from pipelines.recipe.messages import show

AUTOMATIC = ("clips.csv", "clips.jsonl")
SHOWN = 20
SHOWN_OF_A_KIND = 3
KINDS = {"audio": SOUNDS | VIDEOS, "image": PICTURES, "video": VIDEOS}
NOT_THERE = "no such file"


class RowFault(NamedTuple):
    """A fault of a row. kind: equal where rows break the same convention. text: for the user."""

    line: int
    kind: str
    text: str


def find(root: Path, table: str | None) -> Path | None:
    """Return the table: the one named in the recipe, else clips.csv or clips.jsonl, else None.

    Raises DataError if the named one does not exist, or both others do.
    """
    if table is not None:
        if not _is_there(root, table):
            raise DataError(
                f"{root / table}: no such file", "set data.table, relative to data.path"
            )
        return root / table
    there = [root / name for name in AUTOMATIC if (root / name).is_file()]
    if len(there) > 1:
        raise DataError(f"{root} has both {' and '.join(AUTOMATIC)}", "set data.table to one")
    return there[0] if there else None


def remarks(path: Path) -> list[str]:
    """Return lines on the columns of a table that are not read."""
    return [f"{path.name}: {line}" for line in rows.read_table(path).remarks()]


def read_entries(root: Path, path: Path) -> list[Entry]:
    """Read a table of clips.

    Columns: label; audio, image or video; optionally group, split, azimuth (degrees), speaker.
    Paths are relative to the folder, or absolute and inside it. Raises DataError listing all
    faults, each with file:line. A missing file is a fault of its clip, not of the table.
    """
    # a recipe from a stranger could name a private file as its table: no message quotes one that is
    # outside the folder
    quoted = Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root))
    listed = rows.read_table(path, quoted=quoted).rows
    faults: list[RowFault] = []
    entries: list[Entry] = []
    for line, row in listed:
        entry, wrong = _entry(root, row)
        faults += [RowFault(line, *text) for text in wrong]
        entries.append(entry)
    lines = [line for line, _ in listed]
    faults += _repeated(lines, entries)
    if entries and all(entry.fault.endswith(NOT_THERE) for entry in entries):
        # a wrong data.path, not many faults: stop
        kind = "none of its files is there: paths are relative to data.path"
        faults += [RowFault(line, kind, e.fault) for line, e in zip(lines, entries, strict=True)]
    if not listed:
        raise DataError(f"{path}: holds no clip", f"columns: {', '.join(rows.COLUMNS)}")
    if faults:
        if not quoted:
            faults = [fault._replace(text=f"not as it must be: {fault.kind}") for fault in faults]
        lines_shown = _collapsed(path, faults, len(listed))
        more = [f"… and {len(lines_shown) - SHOWN} more"] if len(lines_shown) > SHOWN else []
        hint = f"columns: {', '.join(rows.COLUMNS)}; paths are relative to data.path"
        raise DataError("\n".join(lines_shown[:SHOWN] + more), hint)
    return entries


def _repeated(lines: Sequence[int], entries: Sequence[Entry]) -> list[RowFault]:
    """Return the faults of rows that repeat the pair of a row before, with its label or another."""
    first: dict[tuple[str, str], tuple[int, Entry]] = {}
    faults = []
    for line, entry in zip(lines, entries, strict=True):
        pair = entry.audio, entry.visual
        line_before, before = first.setdefault(pair, (line, entry))
        if before is entry or pair == ("", ""):
            continue
        if before.label == entry.label:
            faults.append(RowFault(line, "again", f"the clip of line {line_before} again"))
        else:
            text = f"the pair of line {line_before} with another label: {entry.label!r}, not "
            faults.append(RowFault(line, "two labels", f"{text}{before.label!r}"))
    return faults


def _collapsed(path: Path, faults: Sequence[RowFault], of: int) -> list[str]:
    """Return a line for each fault; a kind that many rows have is one line with their number."""
    by_kind: dict[str, list[RowFault]] = defaultdict(list)
    for fault in faults:
        by_kind[fault.kind].append(fault)
    texts = []
    for same in by_kind.values():
        if len(same) == of > 1:
            texts.append((same[0].line, f"{same[0].text} (and so in all {of} rows)"))
        elif len(same) > SHOWN_OF_A_KIND:
            text = f"{same[0].text} (and so in {len(same) - 1} more of {of} rows)"
            texts.append((same[0].line, text))
        else:
            texts += [(fault.line, fault.text) for fault in same]
    return [f"{path}:{line}: {text}" for line, text in sorted(texts, key=lambda part: part[0])]


def _entry(root: Path, row: dict[str, Any]) -> tuple[Entry, list[tuple[str, str]]]:
    """Return the clip of a row, and the faults of the row: kind and sentence."""
    text = {name: printable(str(value)) for name, value in row.items() if name != "azimuth"}
    label = text.get("label", "")
    wrong = [] if class_names.comparison_key(label) else [("no label", "no label")]
    fault = ""
    for kind, suffixes in KINDS.items():
        if kind not in text:
            continue
        inside = _inside(root, text[kind])
        if inside is None:
            outside = f"{kind} is not a path inside the folder"
            wrong.append((outside, f"{kind} {text[kind]!r} is not a path inside the folder"))
        elif PurePosixPath(inside).suffix.lower() not in suffixes:
            unread = f"{kind} is not of a kind that is read"
            wrong.append((unread, f"{kind} {text[kind]!r} is not of a kind that is read"))
        else:
            text[kind] = inside
            fault = _fault(root, inside) or fault
    if {"image", "video"} <= text.keys():
        wrong.append(("both", "both image and video"))
    film = text.get("video", "")
    sound, picture = text.get("audio", film), text.get("image", film)
    if not (sound or picture):
        wrong.append(("neither", "neither audio nor image nor video"))
    split = text.get("split", "")
    if split and not split_of(split):
        wrong.append(("split", f"split {split!r} is none of {', '.join(SPLIT_WORDS)}"))
    azimuth, azimuth_faults = _azimuth(row.get("azimuth"))
    entry = Entry(
        f"{label}/{sound}|{picture}" if sound != picture else sound,
        label,
        sound,
        picture,
        split_of(split),
        text.get("group", ""),
        text.get("speaker", ""),
        azimuth,
        fault,
    )
    return entry, wrong + azimuth_faults


def _fault(root: Path, name: str) -> str:
    """Return why a file that a row names cannot be used, or ""."""
    try:
        if not (root / name).is_file():
            return f"{name}: {NOT_THERE}"
        if leads_out(root / name, root):
            return f"{name}: {LEADS_OUT}"
        return "" if (root / name).stat().st_size else f"{name}: is empty"
    except OSError as error:  # a name too long, a folder that may not be entered
        return f"{name}: cannot be read: {error.strerror}"


def _azimuth(value: Any) -> tuple[float | None, list[tuple[str, str]]]:
    """Return an azimuth in [0, 360) degrees or None, and the faults of what is written."""
    if value is None:
        return None, []
    try:
        # a spreadsheet that separates columns by ; writes 22,5
        degrees = float(value.replace(",", ".") if isinstance(value, str) else value)
    except (TypeError, ValueError):
        return None, [("azimuth", f"azimuth {show(value)} is no number")]
    except OverflowError:  # an integer of hundreds of digits, as JSON may have it
        degrees = math.inf
    if not math.isfinite(degrees) or abs(degrees) > 360:
        return None, [("azimuth", f"azimuth {show(value)} is not in -360 to 360 degrees")]
    return degrees % 360 % 360, []  # -1e-20 % 360 is 360.0


def _inside(root: Path, name: str) -> str | None:
    """Return a path relative to the folder, with /; None if it is empty or leads out of it."""
    # a path written on Windows, unless a file here has the backslash in its name
    if "\\" in name and not _is_there(root, name):
        name = name.replace("\\", "/")
    path = PurePosixPath(name)
    # also C:/, which is absolute on Windows alone
    if ".." in path.parts or re.match(r"[A-Za-z]:/", name):
        return None
    if path.is_absolute():
        # the user may have written the path with or without the links in it
        roots = {Path(os.path.abspath(root)), Path(os.path.realpath(root))}  # noqa: PTH100 - keeps links
        path = next((path.relative_to(r) for r in roots if path.is_relative_to(r)), path)
    return None if path.is_absolute() or not path.parts else path.as_posix()


def _is_there(root: Path, name: str) -> bool:
    try:
        return (root / name).is_file()
    except (OSError, ValueError):
        return False
