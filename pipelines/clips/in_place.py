"""The user's own files that a data set reads where they lie, now and when clips were made."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from pipelines.clips.content import hashes
from pipelines.clips.walk import NOT_UTF8, printable
from pipelines.disk import store
from pipelines.disk.look import look
from pipelines.disk.paths import user_path
from pipelines.errors import AvsnnError, DataError
from pipelines.recipe.settings_from_signature import keyword_arguments

MAX_KEPT_BYTES = 1 << 30
SHOWN = 3


class Own(NamedTuple):
    """The user's files that a data set reads, and no others.

    files: by name, the sha256 of each file that is read, or why it is left out. classes: number of
    clips by class name, where the files define the classes.
    """

    files: dict[str, str]
    classes: dict[str, int]


def own_of(module: ModuleType, raw: Path, data: Any) -> Own:
    """Return the user's files that a data set's module reads. data: the recipe's section.

    Raises DataError if a path does not exist, or the files make no data set.
    """
    tables = {}
    for setting in getattr(module, "IN_PLACE", ()):
        if written := getattr(data, setting):  # "" would be the working folder
            path = user_path(written, DataError)
            if path.is_file():
                tables[f"data.{setting}"] = look(_sha256, path)
            elif not path.is_dir():
                raise DataError(
                    f"{path} is neither a file nor a folder", "check the path in the recipe"
                )
    if not hasattr(module, "in_place"):
        return Own(tables, {})
    # one listing serves the key, the clips and the messages: a file that comes between two would
    # be in one of them alone
    own: Own = look(module.in_place, raw, **keyword_arguments(module.in_place, data))
    return own._replace(files=own.files | tables)


def _sha256(path: Path) -> str:
    try:
        return store.sha256(path)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}", "check the path") from error


def kept_path(clips: Path) -> Path:
    """Return the path of the hashes of the files that a manifest of clips was made from."""
    return clips.with_suffix(".files.json")


def keep(clips: Path, files: Mapping[str, str]) -> None:
    """Write the hashes of the user's files that a manifest of clips was made from."""
    if files:
        store.publish_json(kept_path(clips), dict(sorted(files.items())))


def since(clips: Path, files: Mapping[str, str]) -> str:
    """Return how the files differ from those of a manifest of clips: "a is new"; "" if equal."""
    try:
        then = store.read_json(kept_path(clips), MAX_KEPT_BYTES)
        return differences(then, files)
    except (AvsnnError, TypeError, AttributeError):
        return ""  # only a reason for people: the key itself already differs


def differences(then: Mapping[str, str], now: Mapping[str, str]) -> str:
    """Return the files that have changed, are new or gone, or are left out now; "" if none."""
    both = sorted(now.keys() & then.keys())
    changes = [f"{name} has changed" for name in both if now[name] != then[name]]
    # files that are read come first, for only the first few are shown
    new = sorted(now.keys() - then.keys(), key=lambda name: (not _is_read(now[name]), name))
    changes += [f"{name} is {'new' if _is_read(now[name]) else 'left out now'}" for name in new]
    # a sound whose image was removed is there, but no longer read
    changes += [f"{name} is gone or left out" for name in sorted(then.keys() - now.keys())]
    more = f" and {len(changes) - SHOWN} more" if len(changes) > SHOWN else ""
    return ", ".join(changes[:SHOWN]) + more


def _is_read(value: str) -> bool:
    # a file that is left out has its reason where others have their hash
    return re.fullmatch("[0-9a-f]{64}", value) is not None


def user_folder(path: str, setting: str) -> Path:
    """Return the absolute path of a folder that a setting names.

    Raises DataError if it is not a folder, or if its path cannot be written into a manifest.
    """
    folder = user_path(path, DataError).absolute()
    if name_fault(folder):
        raise DataError(f"{printable(str(folder))}: {NOT_UTF8}", "rename the folder")
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder", f"set data.{setting}")
    return folder


def of_files(folder: Path, paths: Sequence[Path]) -> Own:
    """Return the hashes of files of a folder that clips name by their absolute paths."""
    read = hashes(folder, [str(path) for path in paths if not name_fault(path)])
    return Own(read | {printable(str(path)): NOT_UTF8 for path in paths if name_fault(path)}, {})


def name_fault(path: Path) -> str:
    """Return why a file cannot be named in a manifest, or ""."""
    return "" if printable(str(path)) == str(path) else NOT_UTF8
