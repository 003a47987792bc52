"""Caches as disk space: list, verify, prune."""

from pathlib import Path
from typing import Any

from pipelines import store
from pipelines.errors import DataError

Rows = list[dict[str, Any]]


def _folders() -> list[Path]:
    return sorted(path for path in (store.home() / "cache").glob("*/*/") if path.name[0] != ".")


def _name(folder: Path) -> str:
    return f"{folder.parent.name}/{folder.name}"


def _bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


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
        for name, entry in store.read_json(folder / "receipt.json")["files"].items():
            file = folder / name
            if not file.exists():
                state = "missing"
            else:
                state = "good" if store.sha256(file) == entry["sha256"] else "damaged"
            rows.append({"cache": _name(folder), "file": name, "state": state})
    return rows


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
    used = _used_by_runs()
    for folder in _folders():
        finished = (folder / "receipt.json").exists()
        why = "" if finished else "not finished"
        if finished and unused and folder.name not in used:
            why = "no run was trained on it"
        if why:
            with store.lock(folder, wait=False, what=f"cache {folder.name}"):
                rows.append({"cache": _name(folder), "MB": round(_bytes(folder) / 1e6, 2),
                             "why": why})  # fmt: skip
                if not dry_run:
                    store.remove(folder)
    return rows


def _used_by_runs() -> set[str]:
    found: set[str] = set()
    for path in (store.home() / "runs").glob("*/env.json"):
        found.update(store.read_json(path).get("caches", ()))
    return found
