"""What nobody needs any more: found, listed, and only then removed.

Removed is what carries our mark: temporary names (see temporary), and caches that hold nothing but
a cache's files. Links are never followed, so nothing outside the home is touched.
"""

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from pipelines.cache import claims
from pipelines.cache.housekeeping import size
from pipelines.clips.clips import SPLITS
from pipelines.disk import locks, store, temporary
from pipelines.errors import LockedError, MachineError

Say = Callable[[str], None]
PLACES = ("raw", "manifests", "cache", "runs", "sweeps", "reports")
CACHE = re.compile(r".+-[0-9a-f]{12}")
FILES = {"receipt.json", *(f"{split}.h5" for split in SPLITS)}


class Found(NamedTuple):
    """Something to remove; files: all that a cache holds, None for a leftover."""

    path: Path
    why: str
    files: list[Path] | None = None

    def row(self) -> dict[str, Any]:
        """Return its name in the home, size and reason."""
        name = str(self.path.relative_to(store.home()))
        return {"path": name, "MB": round(size(self.path) / 1e6, 2), "why": self.why}


def prune(*, unused: bool, dry_run: bool, say: Say) -> list[dict[str, Any]]:
    """Remove leftovers and unfinished caches that nobody works on; returns what went.

    unused: also whole caches that no run lays claim to. say: is told what is no cache of ours.
    """
    busy = cache(locks.is_busy)
    found = list(_leftovers(busy))
    with claims.deciding(say) if unused and not dry_run else contextlib.nullcontext():
        claimed = claims.claimed() if unused else set()
        found += _caches(busy, claimed if unused else None, say)
        rows = [(one, one.row()) for one in found]
        return [row for one, row in rows if dry_run or _remove(one)]


def _remove(found: Found) -> bool:
    """Remove what was found, if nothing came to it; returns whether it went."""
    try:
        if found.files is None:
            return _remove_leftover(found.path)
        with store.lock(found.path, what=""):
            return _remove_cache(found.path, set(found.files))
    except (LockedError, FileNotFoundError):
        return False
    except MachineError:
        if found.path.exists():
            raise
        return False  # another process was faster


def _remove_cache(folder: Path, listed: set[Path]) -> bool:
    there = _files(folder)
    if there is None or not set(there) <= listed:
        return False  # somebody was here meanwhile
    # the receipt first: what is left, if this is killed, is an unfinished cache
    for file in sorted(there, key=lambda file: file.name != "receipt.json"):
        file.unlink(missing_ok=True)
    folder.rmdir()
    return True


def _remove_leftover(part: Path) -> bool:
    match = temporary.NAME.fullmatch(part.name)
    if match is not None and match["old"]:
        path = part.with_name(match["artefact"])
        with store.lock(path, what=""):
            store.clear_away(part, path)
    else:
        store.remove(part)
    return True


def _leftovers(busy: Callable[[Path], bool]) -> Iterator[Found]:
    """List the temporary files and folders in the home whose writer is dead."""
    home = store.home()
    for folder, folders, files in os.walk(home):
        here = Path(folder)
        for name in sorted([*folders, *files]):
            part = here / name
            match = temporary.NAME.fullmatch(name)
            if match is None or part.is_symlink() or not temporary.is_left(part, locked=False):
                continue
            artefact = part.with_name(match["artefact"])
            around = [parent for parent in part.parents if home in parent.parents]
            if any(busy(path) for path in (artefact, *around)):
                continue
            put_back = match["old"] and not artefact.exists()
            yield Found(part, "goes back into place" if put_back else "left by a killed process")
        # os.walk follows no links
        wanted = [name for name in folders if here != home or name in PLACES]
        folders[:] = [name for name in wanted if temporary.NAME.fullmatch(name) is None]


def _caches(busy: Callable[[Path], bool], claimed: set[str] | None, say: Say) -> Iterator[Found]:
    """List the caches that are not finished and, given what is claimed, those that are not."""
    for folder in _folders(say):
        if busy(folder):
            continue  # it is being built
        finished = (folder / "receipt.json").exists()
        if finished and (claimed is None or folder.name in claimed):
            continue
        name = folder.relative_to(store.home())
        try:
            files = _files(folder) if CACHE.fullmatch(folder.name) else None
        except OSError:
            continue  # gone meanwhile, or not for us to read
        if files is None:
            say(f"{name} is left alone: it is not a cache, or holds what is not a cache's")
        else:
            yield Found(folder, "no run was trained on it" if finished else "not finished", files)


def _folders(say: Say) -> Iterator[Path]:
    """List the folders two levels below the home's cache folder, without going through a link."""
    folders = [store.home() / "cache"]
    for level in range(3):
        for folder in folders:
            if folder.is_symlink():
                say(f"{folder.relative_to(store.home())} is left alone: it is a link")
        folders = [folder for folder in folders if folder.is_dir() and not folder.is_symlink()]
        if level == 2:
            yield from folders
        below: list[Path] = []
        for folder in folders:
            with contextlib.suppress(OSError):
                below += sorted(path for path in folder.iterdir() if path.name[0] != ".")
        folders = below


def _files(folder: Path) -> list[Path] | None:
    """List what a cache holds; None where something in it is not of a cache, or a link."""
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if not (entry.is_file(follow_symlinks=False) and _is_of_a_cache(Path(entry.path))):
                return None
            found.append(Path(entry.path))
    return sorted(found)


def _is_of_a_cache(file: Path) -> bool:
    if file.name in FILES or file.name in {f".{name}.lock" for name in FILES}:
        return True
    if match := temporary.NAME.fullmatch(file.name):
        return match["artefact"] in FILES and temporary.is_left(file, locked=True)
    match = temporary.EARLIER.fullmatch(file.name)
    return match is not None and match["artefact"] in FILES
