"""Hashes of sources that nobody published: recorded at the first download, compared ever after.

The folder of the sources holds `recorded.json` (sha256 by source) and `.index/<source>.tsv` (the
files of a folder that no bundled table lists).
"""

from pathlib import Path

from pipelines.disk import store
from pipelines.download.index import Index, read_index, write_index
from pipelines.errors import DataError


def recorded(raw: Path) -> dict[str, str]:
    """Return the recorded sha256 of each source; {} before the first is recorded."""
    path = raw / "recorded.json"
    if not path.exists():
        return {}
    hashes = store.read_json(path)
    if not isinstance(hashes, dict) or not all(isinstance(v, str) for v in hashes.values()):
        raise DataError(f"{path} is damaged", "remove it to record what comes next")
    return hashes


def settle(raw: Path, source: str, sha256: str) -> None:
    """Record a source's sha256. Raises DataError if another one is recorded already."""
    known = recorded(raw)
    if known.setdefault(source, sha256) != sha256:
        raise DataError(
            f"{source} has changed: its sha256 is {sha256}, at the first download it was "
            f"{known[source]}",
            f"take the first version with --from DIR; or, to go on with the new one, remove "
            f"{raw / 'recorded.json'} and what was made from the old one",
        )
    store.publish_json(raw / "recorded.json", known)


def keep_index(raw: Path, source: str, index: Index) -> None:
    """Write the list of a folder's files, for later checks."""
    write_index(_index_path(raw, source), index)


def kept_index(raw: Path, source: str) -> Index | None:
    """Return the list of a folder's files from when they came; None if it was not kept."""
    path = _index_path(raw, source)
    return read_index(path) if path.exists() else None


def _index_path(raw: Path, source: str) -> Path:
    return raw / ".index" / f"{source.replace('/', '+')}.tsv"
