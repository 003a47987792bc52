"""Where artefacts lie and how they are published: keys, atomic writes, locks.

An artefact is a file or folder under the home folder. It is written under a temporary name beside
its place, flushed to the disk, and renamed. So a process killed at any moment leaves either the
whole artefact or none.
"""

import contextlib
import hashlib
import json
import os
import platform
import shutil
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import platformdirs

from pipelines.disk import locks, room, temporary
from pipelines.disk.paths import user_path
from pipelines.errors import DataError, MachineError

LIBRARIES = ("torch", "torchaudio", "spikingjelly", "h5py", "numpy", "avsnn")


def home() -> Path:
    """Return the folder of all artefacts: $AVSNN_HOME, or the platform's data folder."""
    chosen = os.environ.get("AVSNN_HOME")
    if chosen:
        return user_path(chosen, MachineError, "AVSNN_HOME").absolute()
    return platformdirs.user_data_path("avsnn")


def key(content: Mapping[str, Any]) -> str:
    """Return 12 hex digits of the sha256 of canonical JSON: equal settings, equal key."""
    text = json.dumps(
        content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def sha256(path: Path) -> str:
    """Return the sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


_hashes: dict[tuple[str, int, int, int, int], str] = {}


def sha256_once(path: Path) -> str:
    """Return the sha256 of a file's bytes, computed once a process while the file is unchanged.

    Unchanged: the system reports the same inode, size and times of change.
    """
    status = path.stat()
    # st_ctime too: a program can set st_mtime back, as unpacking an archive does
    name = (str(path), status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    if name not in _hashes:
        _hashes[name] = sha256(path)
    return _hashes[name]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _writing(path: Path, part: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        # what the writer reads may be gone; what it writes is not there where nothing can be
        reads = isinstance(error, FileNotFoundError) and not _is_written(error.filename, path)
        if error.errno is None or reads:
            raise
        if error.errno in room.FULL:
            raise room.lacking(path, part, error) from error
        raise MachineError(
            f"cannot write {path}: {error.strerror}",
            "free some space, or point AVSNN_HOME to a folder that is writable",
        ) from error


@contextlib.contextmanager
def publish(path: Path) -> Iterator[Path]:
    """Yield a temporary path for a file or folder; publish what is there if nothing is raised.

    An existing file is replaced; an existing folder is moved aside first. Raises MachineError
    where the disk is full or not writable.
    """
    part = temporary.beside(path)
    try:
        with _writing(path, part):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield part
            _flush_and_rename(part, path)
    finally:
        with contextlib.suppress(OSError):  # the error that ended the block is the one to raise
            remove(part)


def _is_written(name: object, path: Path) -> bool:
    """Return whether publishing a path writes a file: a folder above it, or its part."""
    if not isinstance(name, str | Path):
        return False
    target = Path(name)
    beside = target.relative_to(path.parent).parts if target.is_relative_to(path.parent) else ()
    return target in path.parents or (bool(beside) and beside[0].endswith(".part"))


def publish_folder(folder: Path, path: Path) -> None:
    """Publish a folder that stands elsewhere on the same disk; until then the old one stays."""
    with _writing(path, folder):
        path.parent.mkdir(parents=True, exist_ok=True)
        _flush_and_rename(folder, path)


def _flush_and_rename(part: Path, path: Path) -> None:
    """Flush a file or folder to the disk and rename it, over what may stand there."""
    # first the bytes, then the name: after a power cut the name must not lead to an empty file
    for written in [part, *part.rglob("*")]:
        if written.is_file():
            with written.open("rb") as file:
                os.fsync(file.fileno())
        elif written.is_dir():
            _sync_folder(written)
    if not part.is_dir():
        part.replace(path)
    elif not path.exists():
        part.rename(path)
    else:
        # rename(2) replaces no folder that is not empty: between these two lines a kill leaves only
        # the old one, under a name that `clear_away` gives back
        aside = temporary.beside(path, old=True)
        path.rename(aside)
        try:
            part.rename(path)
        except OSError:
            aside.rename(path)
            raise
        remove(aside)
    _sync_folder(path.parent)


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there. Links are not followed."""
    while True:
        try:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
            return
        except FileNotFoundError:  # another process removes it too
            continue


def remove_leftovers(path: Path) -> None:
    """Remove what killed writers of an artefact left; call with its lock held."""
    for part in temporary.left_of(path):
        clear_away(part, path)


def clear_away(part: Path, path: Path) -> None:
    """Remove what a dead writer left, or move back the artefact that it had moved aside."""
    if temporary.is_old(part) and not path.exists():
        with contextlib.suppress(FileNotFoundError):
            part.rename(path)
    else:
        remove(part)


def publish_text(path: Path, text: str, errors: str = "strict") -> None:
    """Write a text file atomically. errors: as of str.encode, for a lone surrogate."""
    with publish(path) as part:
        room.write(part, text.encode(errors=errors))


def publish_json(path: Path, content: Any) -> None:
    """Write a JSON file atomically, readable and in a fixed form.

    A lone surrogate, which UTF-8 has no bytes for, is written as JSON's escape of it.
    """
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    publish_text(path, text, errors="backslashreplace")


def read_json(path: Path, max_bytes: int = 64 << 20) -> Any:
    """Read a JSON file. Raises DataError naming it: missing, unreadable, huge or damaged."""
    try:
        if path.stat().st_size > max_bytes:
            raise DataError(
                f"{path} is larger than {max_bytes} bytes", "avsnn did not write it: remove it"
            )
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path} is missing", "run the stage that makes it again") from None
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}", "check the path") from error
    # ValueError: not UTF-8 or not JSON; RecursionError: nested deeper than the parser goes
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is damaged: {error}", "remove it and run again") from None


@contextlib.contextmanager
def lock(path: Path, *, what: str, waiting: Callable[[str], None] | None = None) -> Iterator[None]:
    """Hold the lock of an artefact (see `locks.hold`) and remove what dead writers left."""
    with locks.hold(path, what=what, waiting=waiting):
        remove_leftovers(path)
        yield


def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that results depend on, by name."""
    by_name = {"python": platform.python_version()}
    for name in LIBRARIES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            by_name[name] = metadata.version(name)
    return by_name
