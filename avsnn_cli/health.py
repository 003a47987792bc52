"""`avsnn doctor`: checks of the environment, each problem with its fix."""

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
# options of Lustre and NFS with which a lock holds on this machine alone
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


def _finding(check: str, state: str, level: str = "ok", fix: str = "") -> Finding:
    """Return one finding. level: ok, note or broken."""
    return {"check": check, "level": level, "found": state, "fix": fix}


def _libraries() -> list[Finding]:
    rows = []
    for name in ("torch", "torchaudio", "spikingjelly.activation_based.functional", "h5py"):
        try:
            # imported, not asked for its version: a set that does not match fails only here
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
        return []  # _libraries has the finding
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
        rows.append(_finding("malloc", "does not keep large blocks", "note", fix))
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
        fix = "set AVSNN_HOME to a folder that is writable"
        return [_finding("home", f"{home}: {error.strerror}", "broken", fix)]
    free = shutil.disk_usage(home).free
    state = f"{home}, {free / 1e9:.0f} GB free"
    if free < LOW_DISK_BYTES:
        room = _finding("home", state, "note", "free some space; avsnn cache prune helps")
    else:
        room = _finding("home", state)
    return [room, _locks(home)]


def _locks(home: Path) -> Finding:
    """Try a lock in the home, and check how the home is mounted."""
    try:
        locks.check(home)
    except MachineError as error:
        return _finding("locks", error.message, "broken", error.hint)
    # a lock that this machine alone sees works in every test here, and fails between two nodes
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
            # space, tab, newline and backslash stand as octal escapes, see getmntent(3)
            point = re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), named[4])
            # a later mount at the same place hides the earlier one
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
        fix = "set AVSNN_MIRROR to a folder of sources, or unset it"
        return _finding("mirror", f"{mirror} is not a folder", "broken", fix)
    return _finding("mirror", mirror)


def as_text(rows: list[Finding]) -> str:
    """Write a line for each finding, its fix below."""
    lines = []
    for row in rows:
        lines.append(f"{row['level']:7}{row['check']}: {row['found']}")
        if row["fix"]:
            lines.append(f"       fix: {row['fix']}")
    return "\n".join(lines)


def raise_if_broken(rows: list[Finding]) -> None:
    """Raise MachineError if a finding is broken: avsnn cannot work so."""
    broken = [row["check"] for row in rows if row["level"] == "broken"]
    if broken:
        raise MachineError(f"not fit to run: {', '.join(broken)}", "see the fixes above")
