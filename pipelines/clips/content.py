"""Hashes of the user's own files, computed again only where a file may have changed.

A file whose size, modification time and change time (which no user can set) are as they were when
it was hashed is not read again, so that checking many gigabytes takes no longer than listing them.
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
# a file may be written twice within one tick of its file system's clock: its hash is kept later
SETTLED_NS = 2_000_000_000

Known = dict[str, list[Any]]  # name to size, two times and sha256


def hashes(root: Path, names: Iterable[str]) -> dict[str, str]:
    """Return by name the sha256 of each file, or why it cannot be read. names: relative to root."""
    kept_at = store.home() / "seen" / f"{hashlib.sha256(os.fsencode(root)).hexdigest()[:24]}.json"
    known, digests, changed = _kept(kept_at), dict[str, str](), dict[str, list[int]]()
    settled: Known = {}
    for name in sorted(set(names)):
        try:
            status = os.stat(root / name)  # noqa: PTH116 - fast
        except OSError as error:
            digests[name] = f"cannot be read: {error.strerror}"
            continue
        times = [status.st_size, status.st_mtime_ns, status.st_ctime_ns]
        if known.get(name, [])[:3] == times:
            digests[name] = known[name][3]
            settled[name] = known[name]
        else:
            changed[name] = times
    newest = time.time_ns() - SETTLED_NS
    with ThreadPoolExecutor(THREADS) as pool:  # hashlib lets go of the interpreter's lock
        hashed = pool.map(lambda name: _hash(root / name), changed)
        for name, digest in zip(changed, hashed, strict=True):
            digests[name] = digest
            # a reason in place of a digest is not kept: the file may be readable next time
            if changed[name][2] < newest and len(digest) == 64:
                settled[name] = [*changed[name], digest]
    # names that are gone drop out, for only those asked for are settled
    if settled != known:
        _keep(kept_at, root, settled)
    return digests


def _hash(path: Path) -> str:
    try:
        return hash_file(path, "sha256")
    except DataError as error:  # the decoder excludes the clip and reports this reason
        return error.message.removeprefix(f"{path}: ")


def _kept(path: Path) -> Known:
    """Read the kept hashes; return none if they cannot be read or their own checksum differs."""
    try:
        kept = store.read_json(path, MAX_KEPT_BYTES)
        files: Known = kept["files"]
        return files if kept["sha256"] == _checksum(files) else {}
    except (AvsnnError, KeyError, TypeError, ValueError):
        return {}


def _keep(path: Path, root: Path, files: Known) -> None:
    with suppress(AvsnnError, OSError):  # a read-only home costs time, nothing else
        record = {"folder": ascii(str(root)), "sha256": _checksum(files), "files": files}
        store.publish_json(path, record)


def _checksum(files: Known) -> str:
    lines = (f"{name}\0{kept}\n" for name, kept in sorted(files.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()
