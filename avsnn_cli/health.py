"""`avsnn doctor`: what may be wrong with the environment, each with its fix."""

import os
import platform
import re
import shutil
from pathlib import Path
from typing import Any

from pipelines import device
from pipelines.disk import locks, store, temporary
from pipelines.disk.paths import expanded, is_folder
from pipelines.errors import MachineError

Finding = dict[str, Any]
LOW_DISK_BYTES = 5 << 30
MOUNTS = Path("/proc/self/mountinfo")
# options of Lustre and NFS with which a lock is one of this machine alone
LOCKS_OF_ONE_MACHINE = {"localflock", "nolock", "local_lock=all", "local_lock=flock"}


def findings() -> list[Finding]:
    """Check Python, libraries, devices, home folder, mirror and disk."""
    return [
        _finding("python", platform.python_version()),
        *_libraries(),
        *_devices(),
        *_home(),
        _mirror(),
    ]


def _finding(what: str, found: str, level: str = "ok", fix: str = "") -> Finding:
    return {"check": what, "level": level, "found": found, "fix": fix}


def _libraries() -> list[Finding]:
    rows = []
    for name in ("torch", "torchaudio", "spikingjelly.activation_based.functional", "h5py"):
        try:
            module = __import__(name.split(".")[0] if name == "h5py" else name)
            rows.append(_finding(name.split(".")[0], getattr(module, "__version__", "imports")))
        except (ImportError, OSError, RuntimeError) as error:
            fix = "install the matching set that pyproject.toml pins: pip install avsnn"
            first = str(error).splitlines()[0]
            rows.append(_finding(name.split(".")[0], f"does not import: {first}", "broken", fix))
    return rows


def _devices() -> list[Finding]:
    try:
        import torch
    except (ImportError, OSError, RuntimeError):
        return []  # already found
    cpu = torch.device("cpu")
    low = "fast here" if device.fast_bfloat16(cpu) else "not fast here: float32 is the default"
    rows = [
        _finding("cpu", f"{os.cpu_count()} cores, {torch.get_num_threads()} threads"),
        _finding("cpu bfloat16", low),
    ]
    if device.keep_large_blocks():
        rows.append(_finding("malloc", "keeps large blocks"))
    else:
        fix = "on Linux with glibc a training step is up to 1.6 times faster"
        rows.append(_finding("malloc", "cannot be told to keep large blocks", "note", fix))
    if torch.cuda.is_available():
        for i in range(torch.cuda.device_count()):
            rows.append(_finding(f"cuda:{i}", torch.cuda.get_device_name(i)))
    else:
        rows.append(_finding("cuda", "no device; everything runs on the CPU", "note"))
    return rows


def _home() -> list[Finding]:
    home = store.home()
    try:
        home.mkdir(parents=True, exist_ok=True)
        probe = temporary.beside(home / "doctor")
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        return [_finding("home", f"{home}: {error.strerror}", "broken",
                         "set AVSNN_HOME to a folder that is writable")]  # fmt: skip
    free = shutil.disk_usage(home).free
    found = f"{home}, {free / 1e9:.0f} GB free"
    if free < LOW_DISK_BYTES:
        room = _finding("home", found, "note", "free some space; avsnn cache prune helps")
    else:
        room = _finding("home", found)
    return [room, _locks(home)]


def _locks(home: Path) -> Finding:
    """Try a lock in the home, and look how the home is mounted."""
    try:
        locks.check(home)
    except MachineError as error:
        return _finding("locks", error.message, "broken", error.hint)
    try:
        mounts = MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        mounts = ""
    if option := local_locks(home.resolve(), mounts):
        fix = "use this home from one machine at a time, or mount it with locks for all (flock)"
        return _finding("locks", f"hold on this machine alone ({option})", "note", fix)
    return _finding("locks", "hold")


def local_locks(folder: Path, mounts: str) -> str:
    """Return the mount option that keeps a folder's locks to this machine, "" if there is none.

    mounts: as in /proc/self/mountinfo, see proc(5).
    """
    options: dict[Path, set[str]] = {}
    for line in mounts.splitlines():
        fields, _, more = line.partition(" - ")
        if len(named := fields.split(" ")) > 5 and more:
            point = re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), named[4])
            # what is mounted later at the same place covers what was there
            options[Path(point)] = {*named[5].split(","), *more.split(" ")[-1].split(",")}
    for parent in (folder, *folder.parents):
        if parent in options:
            return min(options[parent] & LOCKS_OF_ONE_MACHINE, default="")
    return ""


def _mirror() -> Finding:
    mirror = os.environ.get("AVSNN_MIRROR")
    if not mirror:
        return _finding("mirror", "AVSNN_MIRROR is not set; sources are downloaded")
    if not is_folder(expanded(mirror)):
        return _finding("mirror", f"{mirror} is not a folder", "broken",
                        "set AVSNN_MIRROR to a folder of sources, or unset it")  # fmt: skip
    return _finding("mirror", mirror)


def as_text(rows: list[Finding]) -> str:
    """Write a line a finding, and its fix below."""
    lines = []
    for row in rows:
        lines.append(f"{row['level']:7}{row['check']}: {row['found']}")
        if row["fix"]:
            lines.append(f"       fix: {row['fix']}")
    return "\n".join(lines)


def raise_if_broken(rows: list[Finding]) -> None:
    """Raise MachineError if a finding keeps avsnn from working."""
    broken = [row["check"] for row in rows if row["level"] == "broken"]
    if broken:
        raise MachineError(f"not fit to run: {', '.join(broken)}", "see the fixes above")
