"""Bring a dataset's sources to `raw/<dataset>/<version>/`: from a mirror on disk, or download."""

import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

from pipelines import store
from pipelines.errors import DataError
from pipelines.sources import archives, download
from pipelines.sources.manifest import DatasetManifest, FileSource, FolderSource

Say = Callable[[str], None]
Progress = Callable[[int, int | None], None]

# an archive may hold more than the folder we take from it
ARCHIVE_SLACK = 8


def raw_folder(manifest: DatasetManifest) -> Path:
    """Return where the sources of a dataset lie."""
    return store.home() / "raw" / manifest.name / manifest.version


def missing(manifest: DatasetManifest) -> list[str]:
    """List the sources that are not there yet (a published source is always whole)."""
    raw = raw_folder(manifest)
    paths = [file.path for file in manifest.files] + [folder.path for folder in manifest.folders]
    return [path for path in paths if not (raw / path).exists()]


def acquire(
    manifest: DatasetManifest,
    *,
    mirror: Path | None,
    say: Say,
    progress: Progress | None = None,
) -> Path:
    """Make every source present and verified; returns the raw folder.

    mirror: a folder that holds the sources under the same names; $AVSNN_MIRROR if None. What it
    lacks is downloaded. Raises DataError (wrong bytes, nowhere to be had) or MachineError.
    """
    raw = raw_folder(manifest)
    if not missing(manifest):
        return raw
    if mirror is None and os.environ.get("AVSNN_MIRROR"):
        mirror = Path(os.environ["AVSNN_MIRROR"]).expanduser()
    if mirror is not None and not mirror.is_dir():
        raise DataError(f"{mirror} is not a folder", "check --from or AVSNN_MIRROR")
    with store.lock(raw, wait=True, what=f"the download of {manifest.name}"):
        for file in manifest.files:
            _bring_file(raw, file, mirror, say, progress)
        for folder in manifest.folders:
            _bring_folder(raw, folder, mirror, say, progress)
    return raw


def check(manifest: DatasetManifest) -> list[str]:
    """Verify what is on disk against the manifest; returns one line for each fault."""
    raw, faults = raw_folder(manifest), []
    checks: list[Callable[[], None]] = [
        partial(download.verify, raw / file.path, _expected(file)) for file in manifest.files
    ]
    checks += [partial(_verify_folder, raw / folder.path, folder) for folder in manifest.folders]
    for verify in checks:
        try:
            verify()
        except DataError as error:
            faults.append(error.message)
    return faults


def _expected(source: FileSource) -> download.Expected:
    return download.Expected(source.bytes, source.md5, source.sha256, source.content_md5)


def _bring_file(
    raw: Path, source: FileSource, mirror: Path | None, say: Say, progress: Progress | None
) -> None:
    target = raw / source.path
    if target.exists():
        return
    if mirror is not None and download.take_from(mirror, source.path, target, _expected(source)):
        say(f"{source.path}: taken from {mirror}")
        return
    say(f"{source.path}: downloading")
    download.fetch(source.urls, target, _expected(source), progress=progress)


def _bring_folder(
    raw: Path, source: FolderSource, mirror: Path | None, say: Say, progress: Progress | None
) -> None:
    target = raw / source.path
    if target.exists():
        return
    if mirror is not None and (mirror / source.path).is_dir():
        with store.publish(target) as part:
            _copy_files(mirror / source.path, part, source)
            _verify_folder(part, source, named=mirror / source.path)
        say(f"{source.path}: taken from {mirror}")
        return
    say(f"{source.path}: downloading")
    archive = raw / f"{source.path.replace('/', '-')}.archive"
    expected = download.Expected(sha256=source.archive_sha256)
    limit = ARCHIVE_SLACK * source.bytes
    download.fetch(source.archive_urls, archive, expected, progress=progress, max_bytes=limit)
    unpacked = target.with_name(f".{target.name}.{os.getpid()}.unpacked.part")
    try:
        archives.extract(
            archive, unpacked, max_bytes=limit, max_files=ARCHIVE_SLACK * source.files,
            strip=1, only=source.archive_folder,
        )  # fmt: skip
        found = unpacked / source.archive_folder
        _verify_folder(found, source, named=archive)
        store.publish_folder(found, target)
    finally:
        shutil.rmtree(unpacked, ignore_errors=True)
    archive.unlink()


def _copy_files(folder: Path, part: Path, source: FolderSource) -> None:
    """Copy at most as many files and bytes as the manifest promises; links are not followed."""
    room = source.bytes
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    for number, path in enumerate(files, 1):
        room -= path.stat().st_size
        if room < 0 or number > source.files:
            raise DataError(
                f"{folder} holds more than the {source.files} files, {source.bytes} bytes expected",
                "remove what does not belong there, or take another copy with --from DIR",
            )
        copy = part / path.relative_to(folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)


def _verify_folder(folder: Path, source: FolderSource, named: Path | None = None) -> None:
    if not folder.is_dir():
        raise DataError(f"{named or folder}: no such folder", "avsnn download fetches it")
    found = archives.tree_sha256(folder)
    if found != source.tree_sha256:
        count = sum(path.is_file() for path in folder.rglob("*"))
        raise DataError(
            f"{named or folder}: the folder's sha256 is {found}, expected {source.tree_sha256} "
            f"({count} files, expected {source.files})",
            "take another copy with --from DIR; nothing was deleted",
        )
