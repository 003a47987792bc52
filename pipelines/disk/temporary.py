"""Temporary names: their artefact, their writer, and whether it still lives.

A name has its artefact and its writer: host, kernel and process namespace, process, a random token.
A process id alone is not enough: two containers on one disk have equal ones.
"""

import glob
import hashlib
import os
import platform
import re
import secrets
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

DEAD_AFTER_S = 24 * 3600  # since the last write, where the writer runs on another machine
LONGEST_BYTES = 180  # of the artefact's own name: a whole one has to stay below 255
NAME = re.compile(
    r"\.(?P<artefact>.+)\.(?P<host>[A-Za-z0-9-]+)\.(?P<kernel>[0-9a-f]{6})(?P<space>[0-9a-f]{6})"
    r"\.(?P<pid>[0-9]+)\.[0-9a-f]{8}(?P<old>\.old)?\.avsnn\.part",
    re.DOTALL,
)
EARLIER = re.compile(r"\.(?P<artefact>.+)\.[0-9]+(?P<old>\.old)?(\.unpacked)?\.part", re.DOTALL)


class Here(NamedTuple):
    """Where this process runs: a readable host, a kernel since its boot, a namespace of ids."""

    host: str
    kernel: str
    space: str


@cache
def here() -> Here:
    """Return where this process runs; the host's name stands in for what a system does not have."""
    node = platform.node() or "unknown"
    try:
        kernel = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    except OSError:
        kernel = node
    try:
        space = Path("/proc/self/ns/pid").readlink().name
    except OSError:
        space = ""
    host = re.sub(r"[^A-Za-z0-9]+", "-", node.split(".")[0]).strip("-")[:16] or "unknown"
    return Here(host, _short_hash(kernel), _short_hash(f"{node} {space}"))


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:6]


def beside(path: Path, *, old: bool = False) -> Path:
    """Return a new temporary name beside an artefact; old: for what stood there before."""
    host, kernel, space = here()
    mark = f"{host}.{kernel}{space}.{os.getpid()}.{secrets.token_hex(4)}{'.old' if old else ''}"
    return path.with_name(f".{_cut(path.name)}.{mark}.avsnn.part")


def _cut(name: str) -> str:
    # in bytes: a file system counts those, and a letter may have four
    return os.fsdecode(os.fsencode(name)[:LONGEST_BYTES])


def is_old(part: Path) -> bool:
    """Return whether a part is the artefact that was moved aside to be replaced."""
    return part.name.endswith((".old.avsnn.part", ".old.part"))


def left_of(path: Path) -> Iterator[Path]:
    """List what dead writers of an artefact left; call with the artefact's lock held."""
    for part in sorted(path.parent.glob(f".{glob.escape(_cut(path.name))}.*.part")):
        if match := NAME.fullmatch(part.name):
            if match["artefact"] == _cut(path.name) and is_left(part, locked=True):
                yield part
        elif (match := EARLIER.fullmatch(part.name)) and match["artefact"] == path.name:
            yield part  # of a version that had nothing but process ids


def is_left(part: Path, *, locked: bool) -> bool:
    """Return whether the writer of a part with such a name is dead, as far as that is known here.

    locked: this process holds the artefact's lock, which any other writer on this machine needs.
    """
    match = NAME.fullmatch(part.name)
    if match is None:
        return False
    ours = here()
    if (match["kernel"], match["space"]) == (ours.kernel, ours.space):
        return not is_running(int(match["pid"]))
    if match["kernel"] == ours.kernel and locked:
        return True
    # a network file system may keep the locks of each machine apart: one held here proves nothing
    return time.time() - _last_touched(part) > DEAD_AFTER_S


def is_running(pid: int) -> bool:
    """Return whether a process of this machine lives."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True  # another user's
    return True


def _last_touched(part: Path) -> float:
    """Return when a file, or anything in a folder, was last written, in s since 1970."""
    times = [0.0]
    paths = [part]
    for folder, folders, files in os.walk(part):
        paths += [Path(folder, name) for name in (*folders, *files)]
    for path in paths:
        try:
            times.append(path.lstat().st_mtime)
        except OSError:
            times.append(time.time())  # gone meanwhile: somebody is at work
    return max(times)
