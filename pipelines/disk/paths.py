"""Paths that a user writes: in options, recipes and the environment, all read by one rule."""

import os
from collections.abc import Callable
from pathlib import Path

from pipelines.errors import AvsnnError, UsageError

LONGEST_NAME, LONGEST_PATH = 255, 4095  # bytes, of Linux and of most other systems
# what lies in them belongs to a stage
OWN_FOLDERS = ("raw", "manifests", "cache", "runs", "seen", "sweeps")


def user_path(text: str | Path, error: type[AvsnnError] = UsageError, where: str = "") -> Path:
    """Return a path with `~` and `~user` expanded, absolute or not as it was written.

    error: what is raised for a path that no system takes, and for a `~user` that is not known.
    where: what it was written in, to name it.
    """
    written = str(text)
    named = f"{where} {_short(written)}".lstrip()
    expanded = os.path.expanduser(written)  # noqa: PTH111 - Path's own raises a RuntimeError
    if written.startswith("~") and expanded == written:
        first = written.split("/", 1)[0]
        raise error(f"{named}: no home folder {_short(first)}", "write the whole path")
    if "\0" in expanded:
        raise error(f"{named!r}: a path has no zero byte", "check the path")
    longest = max((len(os.fsencode(part)) for part in Path(expanded).parts), default=0)
    if longest > LONGEST_NAME or len(os.fsencode(expanded)) > LONGEST_PATH:
        raise error(
            f"{named}: too long, a name has at most {LONGEST_NAME} bytes and a path "
            f"{LONGEST_PATH}", "choose a shorter one",
        )  # fmt: skip
    return Path(expanded)


def check_target(path: Path, home: Path, *, force: bool, ours: Callable[[Path], bool]) -> None:
    """Raise UsageError for a place where a user's file must not be written.

    ours: whether the file there may be replaced without force. Never replaced are folders,
    devices, pipes, links, and what the stages keep in the home folder.
    """
    if is_kept_by_a_stage(path, home):
        raise UsageError(f"{path} is in a folder that avsnn keeps itself", "choose another place")
    if not os.path.lexists(path):
        return
    if path.is_symlink() or not os.path.isfile(path):  # noqa: PTH113 - never raises
        kind = "a link" if path.is_symlink() else "no file"  # /dev/stdout is one
        raise UsageError(f"{path} is there already and is {kind}", "choose another name")
    if not force and not ours(path):
        raise UsageError(f"{path} is there already", "choose another name, or --force")


def is_kept_by_a_stage(path: Path, home: Path) -> bool:
    """Say whether a path, its links followed, lies in a folder of the home that a stage writes."""
    place = Path(os.path.realpath(path))
    return any(place.is_relative_to(os.path.realpath(home / name)) for name in OWN_FOLDERS)


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:80]}…"
