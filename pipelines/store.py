"""Where artefacts lie and how they are published: keys, atomic writes, locks, receipts.

An artefact is a file or folder under the home folder. It is written under a temporary name beside
its place, flushed to the disk, and renamed; a receipt beside it says what it was made from. So a
process killed at any moment leaves either the whole artefact or none.
"""

import contextlib
import glob
import hashlib
import json
import os
import platform
import shutil
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import filelock
import platformdirs

from pipelines.errors import DataError, LockedError, MachineError

LIBRARIES = ("torch", "torchaudio", "spikingjelly", "h5py", "numpy", "avsnn")


def home() -> Path:
    """Return the folder of all artefacts: $AVSNN_HOME, or the platform's data folder."""
    chosen = os.environ.get("AVSNN_HOME")
    return Path(chosen).expanduser().absolute() if chosen else platformdirs.user_data_path("avsnn")


def key(content: Mapping[str, Any]) -> str:
    """Return 12 hex digits of the sha256 of canonical JSON: equal settings, equal key."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False,
                      allow_nan=False)  # fmt: skip
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def sha256(path: Path) -> str:
    """Return the sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


_hashes: dict[tuple[str, int, int, int, int], str] = {}


def sha256_once(path: Path) -> str:
    """Return the sha256 of a file's bytes, worked out once a process while the file is unchanged.

    Unchanged: the same inode, size and times of change, as the system says.
    """
    found = path.stat()
    name = (str(path), found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
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
def publish(path: Path) -> Iterator[Path]:
    """Give a temporary path to write a file or make a folder at; publish it if nothing is raised.

    An existing file is replaced; an existing folder is moved aside first. Raises MachineError
    where the disk is full or not writable.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove(part)
        yield part
        for written in [part, *part.rglob("*")]:
            if written.is_file():
                with written.open("rb") as file:
                    os.fsync(file.fileno())
            elif written.is_dir():
                _sync_folder(written)
        if part.is_dir():
            if path.exists():
                aside = path.with_name(f".{path.name}.{os.getpid()}.old.part")
                remove(aside)
                path.rename(aside)
                part.rename(path)
                remove(aside)
            else:
                part.rename(path)
        else:
            part.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        if error.errno is None or isinstance(error, FileNotFoundError):
            raise
        raise MachineError(
            f"cannot write {path}: {error.strerror}",
            "free some space, or point AVSNN_HOME to a folder that is writable",
        ) from error
    finally:
        with contextlib.suppress(OSError):  # the error that ended the block is the one to tell
            remove(part)


def publish_folder(made: Path, path: Path) -> None:
    """Publish a folder that stands elsewhere on the same disk."""
    with publish(path) as part:
        made.rename(part)


def remove(path: Path) -> None:
    """Remove a file or a folder; nothing there is fine."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def publish_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    with publish(path) as part:
        part.write_text(text, encoding="utf-8")


def publish_json(path: Path, content: Any) -> None:
    """Write a JSON file atomically, readable and in a fixed form."""
    publish_text(path, json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path, max_bytes: int = 64 << 20) -> Any:
    """Read a JSON file. Raises DataError naming it: missing, unreadable, huge or damaged."""
    try:
        if path.stat().st_size > max_bytes:
            raise DataError(f"{path} is larger than {max_bytes} bytes", "it is not ours; remove it")
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path} is missing", "run the stage that makes it again") from None
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}", "check the path") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is damaged: {error}", "remove it and run again") from None


@contextlib.contextmanager
def lock(path: Path, *, what: str, waiting: Callable[[str], None] | None = None) -> Iterator[None]:
    """Hold the lock of an artefact; the system frees it when the process dies.

    waiting: queue behind another holder, after this was told so; None raises LockedError at once.
    """
    file = path.with_name(f".{path.name}.lock")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        held = filelock.FileLock(file)
        try:
            held.acquire(timeout=0)
        except filelock.Timeout:
            if waiting is None:
                raise LockedError(
                    f"{what} is being worked on by another process",
                    "wait for it to finish, then run the same command again",
                ) from None
            waiting(f"waiting for another process to finish {what}")
            held.acquire()
    except OSError as error:
        raise MachineError(
            f"cannot lock {file}: {error.strerror}", "point AVSNN_HOME to a writable folder"
        ) from error
    try:
        remove_leftovers(path)
        yield
    finally:
        held.release()


def remove_leftovers(path: Path) -> None:
    """Remove what killed writers of this artefact left; call with its lock held."""
    for part in path.parent.glob(f".{glob.escape(path.name)}.[0-9]*.part"):
        remove(part)


def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that shape results."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found
