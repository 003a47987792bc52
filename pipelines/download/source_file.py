"""Bring one file of a data set, and what the steps for all its sources share."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pipelines.download.download import fetch, take_from
from pipelines.download.http_transfer import Progress
from pipelines.download.manifest import DatasetManifest, FileSource
from pipelines.download.recorded import recorded, settle
from pipelines.download.verify import Expected, hash_file
from pipelines.errors import DataError

Say = Callable[[str], None]
# where the manifest has no bound of its own
MAX_BYTES = 64 << 30
MAX_FILES = 2_000_000


@dataclass(frozen=True)
class Acquisition:
    """What bringing each source needs. raw: where they go; mirror: a folder that may have them."""

    manifest: DatasetManifest
    raw: Path
    mirror: Path | None
    say: Say
    progress: Progress | None

    def staged(self, path: str) -> Path:
        """Return where a file lies until it is verified and unpacked."""
        return staging_folder(self.raw) / path


def staging_folder(raw: Path) -> Path:
    """Return the folder of unfinished downloads; what an interrupt leaves there is resumed."""
    return raw / ".downloads"


def expected_of(source: FileSource) -> Expected:
    """Return the size and hashes of a file in the manifest."""
    return Expected(source.bytes, source.md5, source.sha256, source.content_md5)


def expected_here(raw: Path, source: FileSource) -> Expected:
    """Return the size and hashes of a file in the manifest, or else the recorded hash."""
    expected = expected_of(source)
    if expected.is_hashed:
        return expected
    return Expected(source.bytes, sha256=recorded(raw).get(source.path))


def get(acquisition: Acquisition, source: FileSource, *, settled: bool = True) -> Path:
    """Bring one file to its staging place and verify it; return that place.

    settled: record the hash of a file that the manifest has none for, or compare it with the
    recorded one. Raises DataError.
    """
    staged, expected = acquisition.staged(source.path), expected_of(source)
    if acquisition.mirror is None or not _take(acquisition, acquisition.mirror, source, staged):
        if not source.urls:
            raise by_hand(acquisition.manifest, source.path)
        acquisition.say(f"{source.path}: downloading")
        fetch(source.urls, staged, expected, progress=acquisition.progress)
    if settled and not expected.is_hashed:
        settle(acquisition.raw, source.path, hash_file(staged, "sha256"))
    return staged


def _take(acquisition: Acquisition, mirror: Path, source: FileSource, staged: Path) -> bool:
    names = dict.fromkeys((source.path, PurePosixPath(source.path).name))
    for name in names:
        if take_from(mirror, name, staged, expected_of(source)):
            acquisition.say(f"{source.path}: taken from {mirror}")
            return True
    return False


def by_hand(manifest: DatasetManifest, path: str) -> DataError:
    """Return the error of a source that only a person can download, with what to do."""
    command = f"avsnn download {manifest.name} --from DIR"
    if manifest.by_hand:
        return DataError(
            f"{manifest.name} has to be fetched by hand: {manifest.by_hand}", f"then {command}"
        )
    return DataError(f"{path}: no address is known for it", f"{command} takes it from a folder")
