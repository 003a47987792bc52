"""Remove what nobody needs any more: leftovers of killed processes, and unused caches.

Only two kinds of things are removed: files with our temporary names (see disk.temporary), and
folders that hold nothing but a cache's files. Links are never followed, so nothing outside the home
is touched.
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


class Removable(NamedTuple):
    """A path to remove and why. files: all files of a cache; None for a leftover."""

    path: Path
    why: str
    files: list[Path] | None = None

    def row(self) -> dict[str, Any]:
        """Return its name in the home, size and reason."""
        name = str(self.path.relative_to(store.home()))
        return {"path": name, "MB": round(size(self.path) / 1e6, 2), "why": self.why}


def prune(*, unused: bool, dry_run: bool, say: Say) -> list[dict[str, Any]]:
    """Remove leftovers and unfinished caches that no process works on; returns a row for each.

    unused: also remove whole caches that no run claims. dry_run: remove nothing. say: receives a
    line for each folder that is left alone because it is not a cache.
    """
    busy = cache(locks.is_busy)  # asked once a path: many leftovers lie in one folder
    removable = list(_leftovers(busy))
    # no run may lay a claim between the look at the claims and the removal
    with claims.deciding(say) if unused and not dry_run else contextlib.nullcontext():
        claimed = claims.claimed() if unused else set()
        removable += _caches(busy, claimed if unused else None, say)
        rows = [(item, item.row()) for item in removable]  # the size, while it is still there
        return [row for item, row in rows if dry_run or _remove(item)]


def _remove(item: Removable) -> bool:
    """Remove an item unless it has changed since it was listed; returns whether it was removed."""
    try:
        if item.files is None:
            return _remove_leftover(item.path)
        with store.lock(item.path, what=""):
            return _remove_cache(item.path, set(item.files))
    except (LockedError, FileNotFoundError):
        return False
    except MachineError:
        if item.path.exists():
            raise
        return False  # another process was faster


def _remove_cache(folder: Path, listed: set[Path]) -> bool:
    present = _files(folder)
    if present is None or not set(present) <= listed:
        return False  # files came since it was listed: another process builds it
    # the receipt first: a kill in between leaves an unfinished cache, never one that looks whole
    for file in sorted(present, key=lambda file: file.name != "receipt.json"):
        file.unlink(missing_ok=True)
    folder.rmdir()
    return True


def _remove_leftover(part: Path) -> bool:
    match = temporary.NAME.fullmatch(part.name)
    # an old version set aside by a replacement that was killed: under the lock it goes back into
    # place if the new one never came
    if match is not None and match["old"]:
        path = part.with_name(match["artefact"])
        with store.lock(path, what=""):
            store.clear_away(part, path)
    else:
        store.remove(part)
    return True


def _leftovers(busy: Callable[[Path], bool]) -> Iterator[Removable]:
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
            # a process may write inside a folder whose lock it holds: a run, a cache
            around = [parent for parent in part.parents if home in parent.parents]
            if any(busy(path) for path in (artefact, *around)):
                continue
            put_back = match["old"] and not artefact.exists()
            yield Removable(
                part, "goes back into place" if put_back else "left by a killed process"
            )
        # in the home only our own folders are entered; os.walk follows no links
        entered = [name for name in folders if here != home or name in PLACES]
        folders[:] = [name for name in entered if temporary.NAME.fullmatch(name) is None]


def _caches(
    busy: Callable[[Path], bool], claimed: set[str] | None, say: Say
) -> Iterator[Removable]:
    """List the unfinished caches and, unless claimed is None, the whole ones outside it."""
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
            yield Removable(
                folder, "no run was trained on it" if finished else "not finished", files
            )


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
    """List the files of a cache; None if the folder holds a link or a file of another kind."""
    files = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if not (entry.is_file(follow_symlinks=False) and _is_of_a_cache(Path(entry.path))):
                return None
            files.append(Path(entry.path))
    return sorted(files)


def _is_of_a_cache(file: Path) -> bool:
    if file.name in FILES or file.name in {f".{name}.lock" for name in FILES}:
        return True
    if match := temporary.NAME.fullmatch(file.name):
        return match["artefact"] in FILES and temporary.is_left(file, locked=True)
    match = temporary.EARLIER.fullmatch(file.name)
    return match is not None and match["artefact"] in FILES
