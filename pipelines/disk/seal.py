"""JSON files that carry the hash of what they say: a digit that was lost or edited is noticed.

A seal is no signature: who means to can seal a file anew. It tells damage, a slip of an editor and
a file that was exchanged for another from what a stage has published.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipelines.disk import store
from pipelines.errors import DataError

SEAL = "seal"


def of(content: Mapping[str, Any]) -> str:
    """Return the sha256 of canonical JSON of all but the seal itself.

    Raises ValueError for what JSON has no form for, such as numbers that are not finite.
    """
    plain = {name: value for name, value in content.items() if name != SEAL}
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def publish(path: Path, content: Mapping[str, Any]) -> dict[str, Any]:
    """Write a JSON file atomically with its seal; returns what was written."""
    plain = json.loads(json.dumps(content, allow_nan=False))  # as it will be read
    sealed = {**plain, SEAL: of(plain)}
    store.publish_json(path, sealed)
    return sealed


def read(path: Path, hint: str) -> dict[str, Any]:
    """Read a sealed file, or one of an earlier version, which has no seal.

    hint: what makes the file again. Raises DataError if it is missing, damaged, or does not say
    what it was sealed with.
    """
    content = store.read_json(path)
    if not isinstance(content, dict):
        raise DataError(f"{path} is not readable: it is no mapping", hint)
    if SEAL in content and not _holds(content):
        raise DataError(f"{path} is not what avsnn wrote: its seal does not fit", hint)
    return content


def _holds(content: Mapping[str, Any]) -> bool:
    try:
        return bool(content[SEAL] == of(content))
    except (ValueError, TypeError, RecursionError):
        return False


def receipt(
    folder: Path,
    *,
    artefact: str,
    stage: str,
    made_from: Any,
    files: Mapping[str, Path],
    more: Mapping[str, Any] | None = None,
) -> None:
    """Write `receipt.json` in a folder: what it belongs to, settings, versions, size and hash.

    artefact: the name that the folder has, or will be published under. more: what was found on
    the way.
    """
    publish(
        folder / "receipt.json",
        {
            "stage": stage,
            "artefact": artefact,
            "made_from": made_from,
            "versions": store.versions(),
            **(more or {}),
            "files": {
                name: {"bytes": file.stat().st_size, "sha256": store.sha256(file)}
                for name, file in sorted(files.items())
            },
        },
    )
