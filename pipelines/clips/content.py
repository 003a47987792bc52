"""What is in the user's own files: a hash of each, taken again only where a file may have changed.

A file whose size, time of content and time of change (which nobody can set) are as they were when
it was hashed is not read again, so that a look at many gigabytes takes no longer than a listing.
"""

import hashlib
import os
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from pipelines.disk import store
from pipelines.download.verify import hash_file
from pipelines.errors import AvsnnError, DataError

THREADS = min(8, os.cpu_count() or 1)
MAX_KEPT_BYTES = 1 << 30
# a file may be written twice within one tick of its file system's clock: it is believed later
SETTLED_NS = 2_000_000_000

Known = dict[str, list[Any]]  # name to size, two times and sha256


def hashes(root: Path, names: Iterable[str]) -> dict[str, str]:
    """Return the sha256 of files by name, or why one cannot be read. names: relative to root."""
    kept_at = store.home() / "seen" / f"{hashlib.sha256(os.fsencode(root)).hexdigest()[:24]}.json"
    known, found, anew = _kept(kept_at), dict[str, str](), dict[str, list[int]]()
    settled: Known = {}
    for name in sorted(set(names)):
        try:
            is_now = os.stat(root / name)  # noqa: PTH116 - fast
        except OSError as error:
            found[name] = f"cannot be read: {error.strerror}"
            continue
        times = [is_now.st_size, is_now.st_mtime_ns, is_now.st_ctime_ns]
        if known.get(name, [])[:3] == times:
            found[name] = known[name][3]
            settled[name] = known[name]
        else:
            anew[name] = times
    newest = time.time_ns() - SETTLED_NS
    with ThreadPoolExecutor(THREADS) as pool:  # hashlib lets go of the interpreter's lock
        for name, digest in zip(anew, pool.map(lambda name: _hash(root / name), anew), strict=True):
            found[name] = digest
            if anew[name][2] < newest and len(digest) == 64:
                settled[name] = [*anew[name], digest]
    if settled != known:
        _keep(kept_at, root, settled)
    return found


def _hash(path: Path) -> str:
    try:
        return hash_file(path, "sha256")
    except DataError as error:  # it is left out when it is decoded, and said there
        return error.message.removeprefix(f"{path}: ")


def _kept(path: Path) -> Known:
    """Read what was kept; what cannot be read, or is not what was written, is hashed again."""
    try:
        kept = store.read_json(path, MAX_KEPT_BYTES)
        files: Known = kept["files"]
        return files if kept["sha256"] == _checksum(files) else {}
    except (AvsnnError, KeyError, TypeError, ValueError):
        return {}


def _keep(path: Path, root: Path, files: Known) -> None:
    with suppress(AvsnnError, OSError):  # a home that is only read costs time, nothing else
        said = {"folder": ascii(str(root)), "sha256": _checksum(files), "files": files}
        store.publish_json(path, said)


def _checksum(files: Known) -> str:
    lines = (f"{name}\0{kept}\n" for name, kept in sorted(files.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()
