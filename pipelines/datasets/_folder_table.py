"""The user's table of clips, with every fault of it said at once."""

import math
import os
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from pipelines.clips import class_names
from pipelines.clips.walk import LEADS_OUT, leads_out, plain
from pipelines.datasets import _folder_rows as rows
from pipelines.datasets._folder_files import PICTURES, SOUNDS, VIDEOS, Entry
from pipelines.datasets._folder_splits import SPLITS, split_of
from pipelines.errors import DataError
from pipelines.recipe.messages import show

AUTOMATIC = ("clips.csv", "clips.jsonl")
SHOWN = 20
SHOWN_OF_A_KIND = 3
KINDS = {"audio": SOUNDS | VIDEOS, "image": PICTURES, "video": VIDEOS}
NOT_THERE = "no such file"


class Fault(NamedTuple):
    """What is wrong with a row. kind: equal where rows break the same convention."""

    line: int
    kind: str
    said: str


def find(root: Path, table: str | None) -> Path | None:
    """Return the table: the one that is named, else clips.csv or clips.jsonl, else None."""
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
    """Say what of a table is not read."""
    return [f"{path.name}: {said}" for said in rows.read(path).remarks()]


def read(root: Path, path: Path) -> list[Entry]:
    """Read a table of clips.

    Columns: label; audio, image or video; if wanted group, split, azimuth (degrees), speaker. Paths
    are relative to the folder, or absolute and inside it. Raises DataError listing all faults, each
    with file:line. A file that is not there is a fault of the clip, not of the table. Of a table
    outside the folder no message quotes what it could not read.
    """
    quoted = Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root))
    listed = rows.read(path, quoted=quoted).rows
    faults: list[Fault] = []
    found: list[Entry] = []
    for line, row in listed:
        entry, wrong = _entry(root, row)
        faults += [Fault(line, *text) for text in wrong]
        found.append(entry)
    lines = [line for line, _ in listed]
    faults += _told_twice(lines, found)
    if found and all(entry.fault.endswith(NOT_THERE) for entry in found):
        kind = "none of its files is there: paths are relative to data.path"
        faults += [Fault(line, kind, e.fault) for line, e in zip(lines, found, strict=True)]
    if not listed:
        raise DataError(f"{path}: holds no clip", f"columns: {', '.join(rows.COLUMNS)}")
    if faults:
        if not quoted:
            faults = [fault._replace(said=f"not as it must be: {fault.kind}") for fault in faults]
        said = _collapsed(path, faults, len(listed))
        more = [f"… and {len(said) - SHOWN} more"] if len(said) > SHOWN else []
        hint = f"columns: {', '.join(rows.COLUMNS)}; paths are relative to data.path"
        raise DataError("\n".join(said[:SHOWN] + more), hint)
    return found


def _told_twice(lines: Sequence[int], found: Sequence[Entry]) -> list[Fault]:
    """List the pairs that stand in the table twice, and what is said of them each time."""
    first: dict[tuple[str, str], tuple[int, Entry]] = {}
    faults = []
    for line, entry in zip(lines, found, strict=True):
        pair = entry.audio, entry.visual
        before, other = first.setdefault(pair, (line, entry))
        if other is entry or pair == ("", ""):
            continue
        if other.label == entry.label:
            faults.append(Fault(line, "again", f"the clip of line {before} again"))
        else:
            said = f"the pair of line {before} with another label: {entry.label!r}, not "
            faults.append(Fault(line, "two labels", f"{said}{other.label!r}"))
    return faults


def _collapsed(path: Path, faults: Sequence[Fault], of: int) -> list[str]:
    """Say each fault in a line; one that many rows have once, with its first line and the count."""
    by_kind: dict[str, list[Fault]] = defaultdict(list)
    for fault in faults:
        by_kind[fault.kind].append(fault)
    said = []
    for same in by_kind.values():
        if len(same) == of > 1:
            said.append((same[0].line, f"{same[0].said} (and so in all {of} rows)"))
        elif len(same) > SHOWN_OF_A_KIND:
            text = f"{same[0].said} (and so in {len(same) - 1} more of {of} rows)"
            said.append((same[0].line, text))
        else:
            said += [(fault.line, fault.said) for fault in same]
    return [f"{path}:{line}: {text}" for line, text in sorted(said, key=lambda part: part[0])]


def _entry(root: Path, row: dict[str, Any]) -> tuple[Entry, list[tuple[str, str]]]:
    """Turn a row to a clip, and list what is wrong with the row: kind and sentence."""
    text = {name: plain(str(value)) for name, value in row.items() if name != "azimuth"}
    label = text.get("label", "")
    wrong = [] if class_names.plain(label) else [("no label", "no label")]
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
        wrong.append(("split", f"split {split!r} is none of {', '.join(SPLITS)}"))
    azimuth, said = _azimuth(row.get("azimuth"))
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
    return entry, wrong + said


def _fault(root: Path, name: str) -> str:
    try:
        if not (root / name).is_file():
            return f"{name}: {NOT_THERE}"
        if leads_out(root / name, root):
            return f"{name}: {LEADS_OUT}"
        return "" if (root / name).stat().st_size else f"{name}: is empty"
    except OSError as error:  # a name too long, a folder that may not be entered
        return f"{name}: cannot be read: {error.strerror}"


def _azimuth(value: Any) -> tuple[float | None, list[tuple[str, str]]]:
    if value is None:
        return None, []
    try:
        # a spreadsheet that parts columns with ; writes 22,5
        degrees = float(value.replace(",", ".") if isinstance(value, str) else value)
    except (TypeError, ValueError):
        return None, [("azimuth", f"azimuth {show(value)} is no number")]
    except OverflowError:  # an integer of hundreds of digits, as JSON may have it
        degrees = math.inf
    if not math.isfinite(degrees) or abs(degrees) > 360:
        return None, [("azimuth", f"azimuth {show(value)} is not in -360 to 360 degrees")]
    return degrees % 360 % 360, []  # -1e-20 % 360 is 360.0


def _inside(root: Path, name: str) -> str | None:
    """Return a path relative to the folder, with /; None if it leads out of it or names none."""
    if "\\" in name and not _is_there(root, name):  # written on Windows
        name = name.replace("\\", "/")
    path = PurePosixPath(name)
    if ".." in path.parts or re.match(r"[A-Za-z]:/", name):
        return None
    if path.is_absolute():
        roots = {Path(os.path.abspath(root)), Path(os.path.realpath(root))}  # noqa: PTH100 - keeps links
        path = next((path.relative_to(r) for r in roots if path.is_relative_to(r)), path)
    return None if path.is_absolute() or not path.parts else path.as_posix()


def _is_there(root: Path, name: str) -> bool:
    try:
        return (root / name).is_file()
    except (OSError, ValueError):
        return False
