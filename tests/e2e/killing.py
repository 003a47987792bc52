"""Commands in forked processes that are killed after a while, and what a home then holds.

A fork of a process that has imported everything begins its work at once: a kill costs what the
killed command has done, not the seconds of its imports.
"""

import hashlib
import importlib
import io
import json
import os
import pkgutil
import re
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

import avsnn_cli
import pipelines
from avsnn_cli.main import main

# times, the number that a run takes each time it is trained anew, the hashes that follow from them
TIMES = {"seconds", "order", "seal", "made_with", "metrics_sha256"}
# which process had a lock, when things happened, how the user's files lay on the disk
LEFT_OUT = re.compile(r"(^|/)(\.[^/]+\.lock|run\.log|tensorboard/.*|seen/.*)$")
HASH = re.compile(r"\b[0-9a-f]{64}\b")
LOOK_S = 0.002


class Ended(NamedTuple):
    """How a command ended: its exit code, None if it was killed, and after how long."""

    code: int | None
    seconds: float
    said: str


def import_everything() -> None:
    """Import all modules of ours, and with them the libraries that they need."""
    for package in (pipelines, avsnn_cli):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)


def run(home: Path, arguments: Sequence[str], after_s: float | None = None) -> Ended:
    """Run a command in a fork of this process; SIGKILL after so many seconds, if it still runs."""
    said = home.parent / "said"
    began = time.monotonic()
    pid = os.fork()
    if pid == 0:
        _command(home, arguments, said)
    ended = status = 0
    while not ended:
        ended, status = os.waitpid(pid, 0 if after_s is None else os.WNOHANG)
        if not ended and after_s is not None and time.monotonic() - began > after_s:
            os.kill(pid, signal.SIGKILL)
            after_s = None
        elif not ended:
            time.sleep(LOOK_S)
    seconds = time.monotonic() - began
    code = os.waitstatus_to_exitcode(status)
    return Ended(None if code == -signal.SIGKILL else code, seconds, said.read_text())


def _command(home: Path, arguments: Sequence[str], said: Path) -> None:
    """Be the command: never returns."""
    code = 1
    try:
        descriptor = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        sys.stdout, sys.stderr = (os.fdopen(n, "w", closefd=False) for n in (1, 2))
        os.environ["AVSNN_HOME"] = str(home)
        os.environ.pop("AVSNN_MIRROR", None)
        sys.argv = ["avsnn", *arguments]
        main()
    except SystemExit as end:
        code = int(end.code or 0)
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)


def half_written(home: Path) -> list[Path]:
    """List what writers have left."""
    names = ("*.part", ".downloads", ".anew", "claims.json")
    return [path for name in names for path in home.rglob(name)]


def forget_holders(home: Path) -> int:
    """Empty the lock files; returns how many name a holder, who was killed at work."""
    named = [path for path in home.rglob(".*.lock") if path.stat().st_size]
    for path in named:
        os.truncate(path, 0)
    return len(named)


def outcome(home: Path) -> dict[str, str]:
    """Hash every file of a home, but for times, orders and what follows from them."""
    files = (path for path in home.rglob("*") if path.is_file())
    named = {path.relative_to(home).as_posix(): path for path in files}
    return {
        name: hashlib.sha256(_timeless(path)).hexdigest()
        for name, path in sorted(named.items())
        if not LEFT_OUT.search(name)
    }


def _timeless(path: Path) -> bytes:
    content = path.read_bytes()
    match path.suffix:
        case ".pt":
            return _plain(torch.load(io.BytesIO(content), weights_only=True)).encode()
        case ".json":
            found = json.loads(content)
            if "checkpoint-" in path.parent.name:
                del found["files"]["state.pt"]
            return _plain(found).encode()
        case ".jsonl":
            return _plain([json.loads(line) for line in content.splitlines()]).encode()
        case ".html":  # shows seals
            return HASH.sub("", content.decode()).encode()
    return content


def _plain(value: Any) -> str:
    """Write a value with all its digits and without its times."""
    match value:
        case torch.Tensor():
            return hashlib.sha256(value.numpy().tobytes()).hexdigest()
        case dict():
            kept = {str(k): v for k, v in value.items() if k not in TIMES}
            return "{" + ",".join(f"{k!r}:{_plain(v)}" for k, v in sorted(kept.items())) + "}"
        case list() | tuple():
            return "[" + ",".join(map(_plain, value)) + "]"
    return repr(value)
