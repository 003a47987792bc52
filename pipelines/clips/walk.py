"""A folder of the user's, gone through: what is visible in it, and what may not be read.

One rule for links, to files and to folders: what stays inside the folder is followed, what leads
out of it is not read.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

SYSTEM = {"__MACOSX", "Thumbs.db", "desktop.ini"}
NOT_UTF8 = "its name is not UTF-8"
LEADS_OUT = "is a link that leaves the folder"


def visible(folder: Path) -> Iterator[Path]:
    """Go through what is in a folder, but for hidden files and what systems leave behind."""
    for path in folder.iterdir():
        if not path.name.startswith(".") and path.name not in SYSTEM:
            yield path


def plain(name: str) -> str:
    r"""Return a name as it can be written down: bytes that are not UTF-8 as \xe9."""
    try:
        return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # half a pair of UTF-16, which stands in no file system
        return name.encode("utf-8", "replace").decode("utf-8")


def files_below(
    folder: Path, root: Path, around: tuple[str, ...] = ()
) -> Iterator[tuple[Path, str]]:
    """Go through the files below a folder, sorted: path, and why it cannot be used or "".

    A folder that cannot be used stands for all that is in it. around: the real folders above it,
    where they are known.
    """
    real = os.path.realpath(folder)
    if not around:
        above = [path for path in folder.parents if path.is_relative_to(root)]
        around = tuple(map(os.path.realpath, above))
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
    """Say why a file of a folder cannot be used, or ""."""
    name = str(path)[len(str(root)) :]  # twenty thousand times, where relative_to takes a second
    if plain(name) != name:
        return NOT_UTF8
    try:
        # a folder that leads out is not entered
        if path.is_symlink() and leads_out(path, root):
            return LEADS_OUT
        found = path.stat()
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if found.st_size == 0:
        return "is empty"
    return "" if stat.S_ISREG(found.st_mode) else "is no file"


def leads_out(path: Path, root: Path) -> bool:
    """Say whether a path, all links in it followed, is outside a folder."""
    # Path.resolve raises on a link to itself, in some versions a RuntimeError
    return not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root))
