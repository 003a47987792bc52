"""JSON files that carry a hash of their own content, so that damage and edits are noticed.

A seal is no signature: anyone can seal a file again. It distinguishes what a stage has published
from a damaged file, an edited one and one that was exchanged for another.
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
    """Return the sha256 of the canonical JSON of all but the seal itself.

    Raises ValueError for values that JSON cannot hold, such as numbers that are not finite.
    """
    plain = {name: value for name, value in content.items() if name != SEAL}
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def publish(path: Path, content: Mapping[str, Any]) -> dict[str, Any]:
    """Write a JSON file atomically with its seal; return what was written."""
    plain = json.loads(
        json.dumps(content, allow_nan=False)
    )  # as it will be read: a tuple becomes a list
    sealed = {**plain, SEAL: of(plain)}
    store.publish_json(path, sealed)
    return sealed


def read_sealed(path: Path, hint: str) -> dict[str, Any]:
    """Read a sealed file, or one of an earlier version, which has no seal.

    hint: how to make the file again. Raises DataError if it is missing, damaged, or its content is
    not what was sealed.
    """
    content = store.read_json(path)
    if not isinstance(content, dict):
        raise DataError(f"{path} is not readable: it is not a mapping", hint)
    if SEAL in content and not _holds(content):
        raise DataError(
            f"{path} is not what avsnn wrote: its content does not match its seal", hint
        )
    return content


def _holds(content: Mapping[str, Any]) -> bool:
    try:
        return bool(content[SEAL] == of(content))
    # what anyone may have written into the file: NaN, or lists nested without end
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
    """Write `receipt.json` in a folder: stage, settings, versions, and size and hash of its files.

    artefact: the name that the folder has, or will be published under. more: further entries.
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
