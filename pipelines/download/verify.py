"""Compare a file with the manifest: its size, its hashes, or those of its gunzipped content."""

import gzip
import hashlib
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pipelines.errors import DataError

CHUNK_BYTES = 1 << 18
# of gunzipped content, while it is hashed: a small file can expand without end
MAX_CONTENT_BYTES = 8 << 30
MAX_CONTENT_RATIO = 50


@dataclass(frozen=True)
class Expected:
    """The size and hashes of a file in the manifest; None is unknown.

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
    """Check a file's size and hashes against the manifest. Nothing is deleted or changed.

    A file of another size or hash passes if content_md5 matches its gunzipped content. Raises
    DataError naming the file and both values.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file", "avsnn download fetches it")
    if differs := mismatch(path, expected):
        raise DataError(
            f"{path}: {differs}", "move the file away and download it again, or take another copy"
        )


def mismatch(path: Path, expected: Expected) -> str | None:
    """Describe what differs from the manifest, with both values; None if nothing does."""
    differs = None
    size = path.stat().st_size
    if expected.bytes not in (None, size):
        differs = f"has {size} bytes, the manifest says {expected.bytes}"
    for algorithm, promised in (("sha256", expected.sha256), ("md5", expected.md5)):
        if promised is None or (differs is not None and expected.content_md5):
            continue
        if (actual := hash_file(path, algorithm)) != promised.lower():
            text = f"{algorithm} is {actual}, the manifest says {promised.lower()}"
            differs = text if differs is None else f"{differs}; {text}"
    hashed = expected.sha256 or expected.md5
    if expected.content_md5 is None or (hashed and differs is None):
        return differs
    limit = min(MAX_CONTENT_BYTES, MAX_CONTENT_RATIO * (expected.bytes or MAX_CONTENT_BYTES))
    try:
        with gzip.open(path) as file:
            content = _digest(file, "md5", limit)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        content = f"unreadable ({error})"
    if content == expected.content_md5.lower():
        return None
    text = f"md5 of the gunzipped content is {content}, the manifest says {expected.content_md5}"
    return text if differs is None else f"{differs}; {text}"


def _digest(file: IO[bytes] | gzip.GzipFile, algorithm: str, limit: int | None) -> str:
    digest, count = hashlib.new(algorithm, usedforsecurity=False), 0
    while chunk := file.read(CHUNK_BYTES):
        count += len(chunk)
        if limit is not None and count > limit:
            raise ValueError(f"more than {limit} bytes")
        digest.update(chunk)
    return digest.hexdigest()
