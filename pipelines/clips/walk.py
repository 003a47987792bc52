"""List what is visible in a folder of the user's, and why a file in it may not be read.

One rule holds for links to files and to folders: a link that stays inside the folder is followed,
one that leads out of it is not.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

SYSTEM = {"__MACOSX", "Thumbs.db", "desktop.ini"}
NOT_UTF8 = "its name is not UTF-8"
LEADS_OUT = "is a link that leaves the folder"


def visible(folder: Path) -> Iterator[Path]:
    """Iterate over the entries of a folder, without hidden files and those that systems add."""
    for path in folder.iterdir():
        if not path.name.startswith(".") and path.name not in SYSTEM:
            yield path


def printable(name: str) -> str:
    r"""Return a file name as UTF-8 text: bytes that are not UTF-8 become escapes such as \xe9."""
    try:
        return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # half a surrogate pair, from a table or recipe
        return name.encode("utf-8", "replace").decode("utf-8")


def files_below(
    folder: Path, root: Path, around: tuple[str, ...] = ()
) -> Iterator[tuple[Path, str]]:
    """Iterate over the files below a folder, sorted: (path, why it cannot be used or "").

    A folder that cannot be used is yielded in place of its files. around: the real paths of the
    folders above it; empty in the first call.
    """
    real = os.path.realpath(folder)
    if not around:
        above = [path for path in folder.parents if path.is_relative_to(root)]
        around = tuple(map(os.path.realpath, above))
    # links to folders are followed, so a loop is detected by the real folders on the way down
    try:
        if leads_out(folder, root):
            yield folder, LEADS_OUT
        elif real in around:
            yield folder, "is a link to a folder around it"
        else:
            for path in sorted(visible(folder)):
                if path.is_dir():
                    yield from files_below(path, root, (*around, real))
                else:
                    yield path, fault_of(path, root)
    except OSError as error:
        yield folder, f"cannot be read: {error.strerror}"


def fault_of(path: Path, root: Path) -> str:
    """Return why a file of a folder cannot be used, or ""."""
    name = str(path)[len(str(root)) :]  # for 20,000 files relative_to would take a second
    if printable(name) != name:
        return NOT_UTF8
    try:
        # folders above it were checked when they were entered
        if path.is_symlink() and leads_out(path, root):
            return LEADS_OUT
        status = path.stat()
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if status.st_size == 0:
        return "is empty"
    # a pipe or a device would block its reader, or never end
    return "" if stat.S_ISREG(status.st_mode) else "is no file"


def leads_out(path: Path, root: Path) -> bool:
    """Return whether a path is outside a folder once all links are followed."""
    # Path.resolve raises on a link to itself, in some versions a RuntimeError
    return not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root))
