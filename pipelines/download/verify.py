"""A file held against what the manifest promises: size, hashes, or its gunzipped content."""

import gzip
import hashlib
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pipelines.errors import DataError

CHUNK_BYTES = 1 << 18
MAX_CONTENT_BYTES = 8 << 30
MAX_CONTENT_RATIO = 50


@dataclass(frozen=True)
class Expected:
    """What the manifest promises of a file; None is unknown.

    content_md5: md5 of the gunzipped content, so that a mirror's re-compressed .gz passes.
    """

    bytes: int | None = None
    md5: str | None = None
    sha256: str | None = None
    content_md5: str | None = None

    @property
    def is_hashed(self) -> bool:
        """Whether any hash is known."""
        return bool(self.md5 or self.sha256 or self.content_md5)


def hash_file(path: Path, algorithm: str) -> str:
    """Return a file's digest in lower-case hex; algorithm is a name of hashlib, such as "md5".

    Raises DataError when the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return _digest(file, algorithm, limit=None)
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror})", "check the path and its permissions"
        ) from error


def verify(path: Path, expected: Expected) -> None:
    """Check a file's size and hashes against the manifest; deletes and changes nothing.

    Another size or hash passes when content_md5 is given and fits the gunzipped content.
    Raises DataError naming the file and both values.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file", "avsnn download fetches it")
    if differs := mismatch(path, expected):
        raise DataError(
            f"{path}: {differs}", "move the file away and download it again, or take another copy"
        )


def mismatch(path: Path, expected: Expected) -> str | None:
    """Say what differs from the manifest, with the expected and the found value."""
    differs = None
    size = path.stat().st_size
    if expected.bytes not in (None, size):
        differs = f"has {size} bytes, the manifest says {expected.bytes}"
    for algorithm, promised in (("sha256", expected.sha256), ("md5", expected.md5)):
        if promised is None or (differs is not None and expected.content_md5):
            continue
        if (found := hash_file(path, algorithm)) != promised.lower():
            said = f"{algorithm} is {found}, the manifest says {promised.lower()}"
            differs = said if differs is None else f"{differs}; {said}"
    hashed = expected.sha256 or expected.md5
    if expected.content_md5 is None or (hashed and differs is None):
        return differs
    limit = min(MAX_CONTENT_BYTES, MAX_CONTENT_RATIO * (expected.bytes or MAX_CONTENT_BYTES))
    try:
        with gzip.open(path) as file:
            found = _digest(file, "md5", limit)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        found = f"unreadable ({error})"
    if found == expected.content_md5.lower():
        return None
    said = f"md5 of the gunzipped content is {found}, the manifest says {expected.content_md5}"
    return said if differs is None else f"{differs}; {said}"


def _digest(file: IO[bytes] | gzip.GzipFile, algorithm: str, limit: int | None) -> str:
    digest, count = hashlib.new(algorithm, usedforsecurity=False), 0
    while chunk := file.read(CHUNK_BYTES):
        count += len(chunk)
        if limit is not None and count > limit:
            raise ValueError(f"more than {limit} bytes")
        digest.update(chunk)
    return digest.hexdigest()
