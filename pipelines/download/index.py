"""The list of a folder's files with size and hash: read, made, and compared with the folder."""

import hashlib
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Literal, NamedTuple

from pipelines.disk import store
from pipelines.download.archive_members import HostileError, safe_parts
from pipelines.download.verify import hash_file
from pipelines.errors import DataError

HEX_DIGITS = {"md5": 32, "sha256": 64}
MAX_INDEX_BYTES = 1 << 30
THREADS = min(8, os.cpu_count() or 1)


class Entry(NamedTuple):
    """One file: its size in bytes, None where unknown, and its hash."""

    bytes: int | None
    digest: str


@dataclass(frozen=True)
class Index:
    """The files of a folder by their relative path. algorithm: "md5" or "sha256".

    prefix: the folder before each path in the table.
    """

    algorithm: str
    files: Mapping[str, Entry]
    prefix: str = ""

    @property
    def total_bytes(self) -> int | None:
        """The bytes of all files; None if some are unknown."""
        sizes = [entry.bytes for entry in self.files.values()]
        return None if None in sizes else sum(size or 0 for size in sizes)

    def below(self, folder: str) -> "Index":
        """Return the files below a folder, with paths relative to it, or all if none is below it.

        So a table may list one folder, with paths relative to it, or several, with their names.
        """
        prefix = f"{folder}/"
        inside = {k.removeprefix(prefix): v for k, v in self.files.items() if k.startswith(prefix)}
        return Index(self.algorithm, inside, prefix) if inside else self


@dataclass(frozen=True)
class Discrepancy:
    """One file that is not as the index lists it; str() gives its message, one line."""

    kind: Literal["missing", "changed", "extra"]
    path: str
    message: str

    def __str__(self) -> str:
        return self.message


def read_index(path: Path) -> Index:
    """Read a table: tab-separated, headed `path`, optionally `bytes`, and `md5` or `sha256`.

    Raises DataError naming the first line that is not a row of the table.
    """
    try:
        if path.stat().st_size > MAX_INDEX_BYTES:
            raise DataError(
                f"{path} is larger than {MAX_INDEX_BYTES} bytes",
                "avsnn did not write it: remove it",
            )
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {path}: {error}", "correct the table") from error
    header, *lines = text.removesuffix("\n").split("\n")
    columns = header.split("\t")
    algorithm = columns[-1]
    if columns not in (["path", algorithm], ["path", "bytes", algorithm]) or (
        algorithm not in HEX_DIGITS
    ):
        raise DataError(f"{path}:1: not path, bytes, md5 or sha256", "correct the table")
    files: dict[str, Entry] = {}
    size = r"(\d{1,15})\t" if len(columns) == 3 else "()"
    row = re.compile(rf"([^\t]+)\t{size}([0-9a-f]{{{HEX_DIGITS[algorithm]}}})")
    for number, line in enumerate(lines, 2):
        match = row.fullmatch(line)
        if match is None or not is_plain(match[1]) or match[1] in files:
            raise DataError(f"{path}:{number}: not a file of its own", "correct the table")
        files[match[1]] = Entry(int(match[2]) if match[2] else None, match[3])
    return Index(algorithm, files)


def write_index(path: Path, index: Index) -> None:
    """Publish an index as a table that read_index reads. All its sizes must be known."""
    rows = (f"{name}\t{e.bytes}\t{e.digest}\n" for name, e in sorted(index.files.items()))
    store.publish_text(path, f"path\tbytes\t{index.algorithm}\n" + "".join(rows))


def make_index(folder: Path) -> Index:
    """List a folder's regular files with size and sha256, hashed by several threads.

    Links, devices and empty folders are left out.
    Raises DataError for a file that cannot be read or whose name no table can hold.
    """
    sizes = {}
    for name, size in files_in(folder):
        if size is None:
            continue
        if not is_plain(name):
            raise DataError(f"{folder}: {name!r} is not a plain file name", "rename or remove it")
        sizes[name] = size
    digests = _hashed(folder, sizes, "sha256")
    return Index("sha256", {name: Entry(size, digests[name]) for name, size in sizes.items()})


def tree_sha256(index: Index) -> str:
    """Return the sha256 of the sorted lines "<relative posix path> <sha256>\\n" of an index."""
    lines = sorted(f"{name} {entry.digest}\n" for name, entry in index.files.items())
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def compare(folder: Path, index: Index, named: Path | None = None) -> list[Discrepancy]:
    """Compare every file of a folder with an index, by size, then by hash in several threads.

    named: the folder's name in messages. Returns the discrepancies, sorted by path: first what is
    missing or changed, then what is there and not listed.
    """
    # sizes first: they cost nothing, and a file of another size need not be hashed
    named = named or folder
    there = dict(files_in(folder))
    discrepancies = [
        Discrepancy("missing", n, f"{named / n}: missing") for n in index.files if n not in there
    ]
    same = []
    for name, entry in index.files.items():
        size = there.get(name, -1)
        if size == -1:
            continue
        if size is None:
            discrepancies.append(
                Discrepancy("changed", name, f"{named / name}: a link or a device")
            )
        elif entry.bytes not in (None, size):
            text = f"{named / name}: {size} bytes, listed with {entry.bytes}"
            discrepancies.append(Discrepancy("changed", name, text))
        else:
            same.append(name)
    for name, digest in _hashed(folder, same, index.algorithm).items():
        if digest != (listed := index.files[name].digest):
            text = f"{named / name}: {index.algorithm} is {digest}, listed with {listed}"
            discrepancies.append(Discrepancy("changed", name, text))
    extra = [
        Discrepancy("extra", n, f"{named / n}: not listed") for n in there if n not in index.files
    ]
    by_path = attrgetter("path")
    return sorted(discrepancies, key=by_path) + sorted(extra, key=by_path)


def files_in(folder: Path) -> Iterator[tuple[str, int | None]]:
    """Yield each entry below a folder but folders: POSIX path and bytes (None: no regular file).

    Links are not followed. Raises DataError for a folder that cannot be read.
    """
    for at, folders, names in os.walk(folder, onerror=partial(_unreadable, folder)):
        # os.walk counts a link to a folder among the folders, and does not enter it
        linked = [name for name in folders if (Path(at) / name).is_symlink()]
        for name in [*names, *linked]:
            path = Path(at) / name
            try:
                status = path.lstat()
            except OSError as error:
                _unreadable(folder, error)
            is_file = stat.S_ISREG(status.st_mode)
            yield path.relative_to(folder).as_posix(), status.st_size if is_file else None


def is_plain(path: str) -> bool:
    """Return whether a path is relative, stays inside its folder, and fits into a line of text."""
    try:
        return path == "/".join(safe_parts(path)) != ""
    except HostileError:
        return False


def _unreadable(folder: Path, error: OSError) -> None:
    raise DataError(
        f"{folder}: cannot be read ({error.strerror})", "check the path and its permissions"
    ) from error


def _hashed(folder: Path, names: Iterable[str], algorithm: str) -> dict[str, str]:
    names = list(names)
    if not names:
        return {}
    with ThreadPoolExecutor(THREADS) as pool:  # hashlib lets go of the interpreter's lock
        digests = pool.map(lambda name: hash_file(folder / name, algorithm), names)
        return dict(zip(names, digests, strict=True))
