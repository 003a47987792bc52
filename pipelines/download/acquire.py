"""Bring a dataset's sources to `raw/<dataset>/<version>/`: from a mirror on disk, or download."""

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
    """Return where the sources of a dataset lie."""
    return store.home() / "raw" / manifest.name / manifest.version


def missing(manifest: DatasetManifest) -> list[str]:
    """List the sources that are not there yet (a published source is always whole)."""
    raw = raw_folder(manifest)
    return [source.path for source in sources(manifest) if not (raw / source.path).exists()]


def size(manifest: DatasetManifest, paths: list[str] | None = None) -> Size:
    """Say how much the sources are, or those with these paths; known bytes, and whether all are."""
    return size_of(manifest, raw_folder(manifest), paths)


def require_room(manifest: DatasetManifest, mirror: Path | None) -> None:
    """Raise MachineError, naming both numbers, if the disk has no room for what is missing."""
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
    """Make every source present and verified; returns the raw folder.

    mirror: a folder that holds the sources under the same names; $AVSNN_MIRROR if None. What it
    lacks is downloaded. Raises DataError (wrong bytes, nowhere to be had, a step by hand is
    needed) or MachineError.
    """
    raw = raw_folder(manifest)
    if not missing(manifest):
        return raw
    of = Acquisition(manifest, raw, _mirror(mirror), say, progress)
    require_room(manifest, mirror)
    with store.lock(raw, waiting=say, what=f"the download of {manifest.name}"):
        try:
            for file in manifest.files:
                _bring_file(of, file)
            for folder in manifest.folders:
                bring_folder(of, folder)
            for table in manifest.tables:
                bring_table(of, table)
            for record in manifest.records:
                bring_record(of, record)
        except OSError as error:
            raise MachineError(
                f"{error.filename or raw}: {error.strerror or error}",
                "check the space and the permissions; the same command goes on from here",
            ) from error
        store.remove(staging_folder(raw))
    return raw


def check(manifest: DatasetManifest) -> list[Discrepancy]:
    """Verify what is on disk, file by file; returns what is missing, changed or not listed."""
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


def _mirror(given: Path | None) -> Path | None:
    if given is None and os.environ.get("AVSNN_MIRROR"):
        given = Path(os.environ["AVSNN_MIRROR"])
    if given is None:
        return None
    folder = user_path(given, DataError)
    if not folder.is_dir():
        raise DataError(f"{given} is not a folder", "check --from or AVSNN_MIRROR")
    return folder


def _bring_file(of: Acquisition, source: FileSource) -> None:
    target = of.raw / source.path
    if target.exists():
        return
    staged = get(of, source)
    target.parent.mkdir(parents=True, exist_ok=True)
    staged.replace(target)
    sync(target.parent)
