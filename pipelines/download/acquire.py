"""Bring a data set's sources to `raw/<dataset>/<version>/`: from a mirror on disk, or download."""

import os
from pathlib import Path

from pipelines.disk import store
from pipelines.disk.paths import user_path
from pipelines.download.download import sync
from pipelines.download.folders import bring_folder, check_folder
from pipelines.download.http_transfer import Progress
from pipelines.download.index import Discrepancy
from pipelines.download.manifest import DatasetManifest, FileSource, FolderSource, sources
from pipelines.download.records import bring_record
from pipelines.download.size import Size, need_room, size_of
from pipelines.download.source_file import Acquisition, Say, expected_here, get, staging_folder
from pipelines.download.tables import bring_table, check_table
from pipelines.download.verify import verify
from pipelines.errors import DataError, MachineError

__all__ = ["Discrepancy", "acquire", "check", "missing", "raw_folder", "require_room", "size"]


def raw_folder(manifest: DatasetManifest) -> Path:
    """Return the folder of a data set's sources."""
    return store.home() / "raw" / manifest.name / manifest.version


def missing(manifest: DatasetManifest) -> list[str]:
    """List the sources that are missing (one that is there is whole: it was published)."""
    raw = raw_folder(manifest)
    return [source.path for source in sources(manifest) if not (raw / source.path).exists()]


def size(manifest: DatasetManifest, paths: list[str] | None = None) -> Size:
    """Return the bytes of all sources, or of those with these paths."""
    return size_of(manifest, raw_folder(manifest), paths)


def require_room(manifest: DatasetManifest, mirror: Path | None) -> None:
    """Raise MachineError with both numbers if the disk has no room for the missing sources."""
    lacking = missing(manifest)
    if lacking:
        from_mirror = _mirror(mirror) is not None
        need_room(manifest, raw_folder(manifest), lacking, from_mirror=from_mirror)


def acquire(
    manifest: DatasetManifest,
    *,
    mirror: Path | None,
    say: Say,
    progress: Progress | None = None,
) -> Path:
    """Bring and verify every missing source; return the raw folder.

    mirror: a folder that holds the sources under the same names; $AVSNN_MIRROR if None. What it
    lacks is downloaded. Raises DataError (wrong bytes, no mirror has it, a manual step is needed)
    or MachineError.
    """
    raw = raw_folder(manifest)
    if not missing(manifest):
        return raw
    acquisition = Acquisition(manifest, raw, _mirror(mirror), say, progress)
    # before the first byte: a disk that fills up after hours is of no use to anyone
    require_room(manifest, mirror)
    with store.lock(raw, waiting=say, what=f"the download of {manifest.name}"):
        try:
            for file in manifest.files:
                _bring_file(acquisition, file)
            for folder in manifest.folders:
                bring_folder(acquisition, folder)
            for table in manifest.tables:
                bring_table(acquisition, table)
            for record in manifest.records:
                bring_record(acquisition, record)
        except OSError as error:
            raise MachineError(
                f"{error.filename or raw}: {error.strerror or error}",
                "check the space and the permissions; the same command goes on from here",
            ) from error
        # last: what is staged lets an interrupted download go on
        store.remove(staging_folder(raw))
    return raw


def check(manifest: DatasetManifest) -> list[Discrepancy]:
    """Verify what is on disk, file by file; return what is missing, changed or not listed."""
    raw, discrepancies = raw_folder(manifest), []
    for file in manifest.files:
        expected = expected_here(raw, file)
        try:
            verify(raw / file.path, expected)
            if not expected.is_hashed:
                raise DataError(f"{raw / file.path}: its sha256 is not in recorded.json", "")
        except DataError as error:
            kind = "changed" if (raw / file.path).exists() else "missing"
            discrepancies.append(Discrepancy(kind, file.path, error.message))  # type: ignore[arg-type]
    for folder in manifest.folders:
        discrepancies += check_folder(raw, folder)
    for table in manifest.tables:
        discrepancies += check_table(raw, table)
    for record in manifest.records:
        discrepancies += check_folder(raw, FolderSource(path=record.path))
    return discrepancies


def _mirror(chosen: Path | None) -> Path | None:
    if chosen is None and os.environ.get("AVSNN_MIRROR"):
        chosen = Path(os.environ["AVSNN_MIRROR"])
    if chosen is None:
        return None
    folder = user_path(chosen, DataError)
    if not folder.is_dir():
        raise DataError(f"{chosen} is not a folder", "check --from or AVSNN_MIRROR")
    return folder


def _bring_file(acquisition: Acquisition, source: FileSource) -> None:
    target = acquisition.raw / source.path
    if target.exists():
        return
    staged = get(acquisition, source)
    target.parent.mkdir(parents=True, exist_ok=True)
    staged.replace(target)
    sync(target.parent)
