"""Caches as disk space: list, verify."""

import contextlib
import os
from pathlib import Path
from typing import Any

from pipelines.cache.receipts import CacheReceipt, read_receipt
from pipelines.disk import store
from pipelines.errors import DataError

Rows = list[dict[str, Any]]


def _folders() -> list[Path]:
    return [folder for level in _below(store.home() / "cache") for folder in _below(level)]


def _below(folder: Path) -> list[Path]:
    """List the folders in a folder; one that vanishes meanwhile has none."""
    with contextlib.suppress(OSError):
        return sorted(path for path in folder.iterdir() if path.name[0] != "." and path.is_dir())
    return []


def _name(folder: Path) -> str:
    return f"{folder.parent.name}/{folder.name}"


def size(path: Path) -> int:
    """Return the bytes of a file, or of all in a folder; what vanishes meanwhile is nothing."""
    files = [path]
    for folder, _, names in os.walk(path):
        files += [Path(folder, name) for name in names]
    total = 0
    for file in files:
        with contextlib.suppress(OSError):
            total += 0 if file.is_dir() else file.lstat().st_size
    return total


def caches() -> Rows:
    """List every cache: name, size, whether it was finished."""
    return [
        {
            "cache": _name(folder),
            "MB": round(size(folder) / 1e6, 2),
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
            rows.append(
                {"cache": _name(folder), "file": name, "state": _state(folder / name, entry.sha256)}
            )
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
