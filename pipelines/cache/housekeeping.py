"""Caches as disk space: list, verify, prune."""

import contextlib
import re
from pathlib import Path
from typing import Any

import filelock

from pipelines import results, store
from pipelines.cache.receipts import CacheReceipt, read_receipt
from pipelines.errors import DataError, LockedError

Rows = list[dict[str, Any]]
LEFTOVER = re.compile(r"\.(.+?)\.[0-9]+(?:\.old|\.unpacked)?\.part")


def _folders() -> list[Path]:
    return sorted(path for path in (store.home() / "cache").glob("*/*/") if path.name[0] != ".")


def _name(folder: Path) -> str:
    return f"{folder.parent.name}/{folder.name}"


def _bytes(folder: Path) -> int:
    files = [folder, *folder.rglob("*")]
    return sum(file.stat().st_size for file in files if file.is_file())


def caches() -> Rows:
    """List every cache: name, size, whether it was finished."""
    return [
        {
            "cache": _name(folder),
            "MB": round(_bytes(folder) / 1e6, 2),
            "state": "whole" if (folder / "receipt.json").exists() else "not finished",
        }
        for folder in _folders()
    ]


def verify() -> Rows:
    """Compare every file of every finished cache with its receipt."""
    rows = []
    for folder in _folders():
        if not (folder / "receipt.json").exists():
            rows.append({"cache": _name(folder), "file": "", "state": "not finished"})
            continue
        try:
            receipt = read_receipt(folder / "receipt.json", CacheReceipt, folder.name)
        except DataError:
            rows.append({"cache": _name(folder), "file": "receipt.json", "state": "damaged"})
            continue
        rows.append({"cache": _name(folder), "file": "receipt.json", "state": "good"})
        for name, entry in receipt.files.items():
            rows.append({"cache": _name(folder), "file": name,
                         "state": _state(folder / name, entry.sha256)})  # fmt: skip
    return rows


def _state(file: Path, expected: str) -> str:
    if not file.exists():
        return "missing"
    return "good" if store.sha256(file) == expected else "damaged"


def raise_if_damaged(rows: Rows) -> None:
    """Raise DataError naming the caches that are not what was written."""
    bad = sorted({row["cache"] for row in rows if row["state"] in ("damaged", "missing")})
    if bad:
        raise DataError(
            f"damaged: {', '.join(bad)}", "avsnn prepare RECIPE --force builds it again"
        )


def prune(*, unused: bool, dry_run: bool) -> Rows:
    """Remove leftovers and unfinished caches that nobody works on; returns what went."""
    rows: Rows = []
    used = _used_by_runs() if unused else set()
    for part in _leftovers():
        name = str(part.relative_to(store.home()))
        size = round(_bytes(part) / 1e6, 2)
        rows.append({"path": name, "MB": size, "why": "left by a killed process"})
        if not dry_run:
            store.remove(part)
    for folder in _folders():
        finished = (folder / "receipt.json").exists()
        why = "" if finished else "not finished"
        if finished and unused and folder.name not in used:
            why = "no run was trained on it"
        # a cache that is being built is not finished either: it stays
        if not why or _is_busy(folder):
            continue
        rows.append({"path": f"cache/{_name(folder)}", "MB": round(_bytes(folder) / 1e6, 2),
                     "why": why})  # fmt: skip
        if not dry_run:
            with contextlib.suppress(LockedError), store.lock(folder, what=""):
                store.remove(folder)
    return rows


def _leftovers() -> list[Path]:
    """List the temporary files and folders under the home that no living process writes."""
    home = store.home()
    found = [path for path in home.rglob(".*.part") if LEFTOVER.fullmatch(path.name)]
    return sorted(path for path in found if not _is_written(path, home))


def _is_written(part: Path, home: Path) -> bool:
    """Say whether the artefact of a temporary file, or a folder around it, is locked."""
    name = LEFTOVER.fullmatch(part.name)
    artefacts = [part.with_name(name[1])] if name else []
    artefacts += [folder for folder in part.parents if home in folder.parents]
    return any(_is_busy(artefact) for artefact in artefacts)


def _is_busy(artefact: Path) -> bool:
    """Say whether a process holds the artefact's lock."""
    file = artefact.with_name(f".{artefact.name}.lock")
    if not file.exists():
        return False
    try:
        with filelock.FileLock(file).acquire(timeout=0):
            return False
    except filelock.Timeout:
        return True


def _used_by_runs() -> set[str]:
    found: set[str] = set()
    for path in (store.home() / "runs").glob("*/env.json"):
        found.update(results.read(path, results.Environment)["caches"])
    return found
