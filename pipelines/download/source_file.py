"""What the bringing of one dataset's sources shares, and how one file of it is brought."""

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
# where the manifest knows no bound
MAX_BYTES = 64 << 30
MAX_FILES = 2_000_000


@dataclass(frozen=True)
class Acquisition:
    """raw: the folder of the sources. mirror: a folder on disk that may have them."""

    manifest: DatasetManifest
    raw: Path
    mirror: Path | None
    say: Say
    progress: Progress | None

    def staged(self, path: str) -> Path:
        """Return where a file waits until it is verified and unpacked."""
        return staging_folder(self.raw) / path


def staging_folder(raw: Path) -> Path:
    """Return where downloads grow; what an interrupt leaves there is resumed."""
    return raw / ".downloads"


def expected_of(source: FileSource) -> Expected:
    """Return what the manifest promises of a file."""
    return Expected(source.bytes, source.md5, source.sha256, source.content_md5)


def expected_here(raw: Path, source: FileSource) -> Expected:
    """Return what the manifest promises of a file, or else what was recorded of it."""
    expected = expected_of(source)
    if expected.is_hashed:
        return expected
    return Expected(source.bytes, sha256=recorded(raw).get(source.path))


def get(of: Acquisition, source: FileSource, *, settled: bool = True) -> Path:
    """Bring one file to its staging place, verified; returns that place.

    settled: a file of which no hash is known is recorded, and refused if it changes.
    """
    staged, expected = of.staged(source.path), expected_of(source)
    if of.mirror is None or not _take(of, of.mirror, source, staged):
        if not source.urls:
            raise by_hand(of.manifest, source.path)
        of.say(f"{source.path}: downloading")
        fetch(source.urls, staged, expected, progress=of.progress)
    if settled and not expected.is_hashed:
        settle(of.raw, source.path, hash_file(staged, "sha256"))
    return staged


def _take(of: Acquisition, mirror: Path, source: FileSource, staged: Path) -> bool:
    names = dict.fromkeys((source.path, PurePosixPath(source.path).name))
    for name in names:
        if take_from(mirror, name, staged, expected_of(source)):
            of.say(f"{source.path}: taken from {mirror}")
            return True
    return False


def by_hand(manifest: DatasetManifest, path: str) -> DataError:
    """Say what a person must do to get a source that no program can download."""
    command = f"avsnn download {manifest.name} --from DIR"
    if manifest.by_hand:
        return DataError(
            f"{manifest.name} has to be fetched by hand: {manifest.by_hand}", f"then {command}"
        )
    return DataError(f"{path}: no address is known for it", f"{command} takes it from a folder")
