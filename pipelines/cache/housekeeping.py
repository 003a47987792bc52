"""List the caches with their sizes, and verify their files against the receipts."""

import contextlib
import os
from pathlib import Path
from typing import Any

from pipelines.cache.receipts import CacheReceipt, read_receipt
from pipelines.disk import store
from pipelines.errors import DataError

Table = list[dict[str, Any]]  # a row a cache or file, as it is printed


def _folders() -> list[Path]:
    return [folder for level in _below(store.home() / "cache") for folder in _below(level)]


def _below(folder: Path) -> list[Path]:
    """List the folders in a folder; a folder removed meanwhile has none."""
    with contextlib.suppress(OSError):
        return sorted(path for path in folder.iterdir() if path.name[0] != "." and path.is_dir())
    return []


def _name(folder: Path) -> str:
    return f"{folder.parent.name}/{folder.name}"


def size(path: Path) -> int:
    """Return the bytes of a file, or of all files in a folder; one removed meanwhile counts 0."""
    files = [path]
    for folder, _, names in os.walk(path):
        files += [Path(folder, name) for name in names]
    total = 0
    for file in files:
        with contextlib.suppress(OSError):  # lstat: a link's own size, never its target's
            total += 0 if file.is_dir() else file.lstat().st_size
    return total


def caches() -> Table:
    """Return a row for each cache: its name, its size in MB, and whether it was finished."""
    return [
        {
            "cache": _name(folder),
            "MB": round(size(folder) / 1e6, 2),
            "state": "whole" if (folder / "receipt.json").exists() else "not finished",
        }
        for folder in _folders()
    ]


def verify() -> Table:
    """Compare each file of each finished cache with its receipt; returns a row for each file."""
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
            rows.append(
                {"cache": _name(folder), "file": name, "state": _state(folder / name, entry.sha256)}
            )
    return rows


def _state(file: Path, expected: str) -> str:
    if not file.exists():
        return "missing"
    return "good" if store.sha256(file) == expected else "damaged"


def raise_if_damaged(rows: Table) -> None:
    """Raise DataError with the names of the caches that have damaged or missing files."""
    bad = sorted({row["cache"] for row in rows if row["state"] in ("damaged", "missing")})
    if bad:
        raise DataError(
            f"damaged: {', '.join(bad)}", "avsnn prepare RECIPE --force builds it again"
        )
