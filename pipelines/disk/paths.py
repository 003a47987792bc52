"""Paths that a user writes, in options, recipes and the environment, all read by one rule."""

import os
from collections.abc import Callable
from pathlib import Path

from pipelines.errors import AvsnnError, UsageError

LONGEST_NAME, LONGEST_PATH = 255, 4095  # bytes, of Linux and of most other systems
# of the home folder; only stages write there
OWN_FOLDERS = ("raw", "manifests", "cache", "runs", "seen", "sweeps")


# os.path's functions take any text, with zero bytes and unknown users in it; Path's own raise


def expanded(text: str) -> Path:
    """Return a path with `~` and `~user` expanded where they are known. Never raises."""
    return Path(_expanded(text))


def _expanded(text: str) -> str:
    return os.path.expanduser(text)  # noqa: PTH111


def is_file(path: str | Path) -> bool:
    """Return whether a file is there; False for a path that no system accepts. Never raises."""
    return os.path.isfile(path)  # noqa: PTH113


def is_folder(path: str | Path) -> bool:
    """Return whether a folder is there; False for a path that no system accepts. Never raises."""
    return os.path.isdir(path)  # noqa: PTH112


def user_path(text: str | Path, error: type[AvsnnError] = UsageError, where: str = "") -> Path:
    """Return a path with `~` and `~user` expanded, absolute or not as it was written.

    error: the class of what is raised for a path that no system accepts, and for a `~user` that is
    not known. where: the option or variable that has the path, named in the message.
    """
    written = str(text)
    named = f"{where} {_short(written)}".lstrip()
    path = _expanded(written)  # a Path would drop slashes that count for the length
    if written.startswith("~") and path.startswith("~"):
        first = written.split("/", 1)[0]
        raise error(f"{named}: no home folder {_short(first)}", "write the whole path")
    if "\0" in path:
        raise error(f"{named!r}: a path has no zero byte", "check the path")
    try:
        os.fsencode(path)
    except UnicodeEncodeError:  # half of a UTF-16 pair, which an escape in a recipe can write
        raise error(f"{named!r}: no file has such a name", "check the path") from None
    longest = max((len(os.fsencode(part)) for part in Path(path).parts), default=0)
    if longest > LONGEST_NAME or len(os.fsencode(path)) > LONGEST_PATH:
        limits = f"a name has at most {LONGEST_NAME} bytes and a path {LONGEST_PATH}"
        raise error(f"{named}: too long, {limits}", "choose a shorter one")
    return Path(path)


def check_target(path: Path, home: Path, *, force: bool, ours: Callable[[Path], bool]) -> None:
    """Raise UsageError for a path where a user's file must not be written.

    ours: returns whether avsnn wrote the file there, which is then replaced without force. Folders,
    devices, pipes, links and what the stages keep in the home folder are never replaced.
    """
    if is_kept_by_a_stage(path, home):
        raise UsageError(f"{path} is in a folder that avsnn keeps itself", "choose another place")
    # not exists(): a link to nowhere would let the file be written where the link leads
    if not os.path.lexists(path):
        return
    if path.is_symlink() or not is_file(path):
        kind = "a link" if path.is_symlink() else "no file"  # /dev/stdout is one
        raise UsageError(f"{path} is there already and is {kind}", "choose another name")
    if not force and not ours(path):
        raise UsageError(f"{path} is there already", "choose another name, or --force")


def is_kept_by_a_stage(path: Path, home: Path) -> bool:
    """Return whether a path, its links followed, lies in one of the stages' own folders."""
    place = Path(os.path.realpath(path))
    return any(place.is_relative_to(os.path.realpath(home / name)) for name in OWN_FOLDERS)


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:80]}…"
