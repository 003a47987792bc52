"""The bytes of a data set's sources: to download, and on the disk."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.download.folders import index_of
from pipelines.download.manifest import (
    DatasetManifest,
    FileSource,
    FolderSource,
    Source,
    TableSource,
    sources,
)
from pipelines.download.record_list import kept_list
from pipelines.download.source_file import staging_folder
from pipelines.errors import MachineError

KEPT_FREE_BYTES = 1 << 30


@dataclass(frozen=True)
class Amount:
    """Known bytes; is_whole: False if there is more, of unknown size."""

    bytes: int
    is_whole: bool

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(self.bytes + other.bytes, self.is_whole and other.is_whole)

    def __str__(self) -> str:
        if not self.bytes:
            return "0 MB" if self.is_whole else "unknown"
        number, unit = (self.bytes / 1e9, "GB") if self.bytes >= 1e9 else (self.bytes / 1e6, "MB")
        return f"{'' if self.is_whole else 'at least '}{number:.1f} {unit}"


@dataclass(frozen=True)
class Size:
    """download: bytes to fetch. kept: their bytes on the disk, unpacked.

    needed: the most bytes that the disk holds at a time on the way.
    """

    download: Amount
    kept: Amount
    needed: Amount


NOTHING = Amount(0, True)


def size_of(manifest: DatasetManifest, raw: Path, paths: Sequence[str] | None = None) -> Size:
    """Add up the bytes of a data set's sources, or of those with these paths."""
    download, kept, needed = NOTHING, NOTHING, NOTHING
    for source in sources(manifest):
        if paths is None or source.path in paths:
            fetched, stays = _amounts(source, raw)
            download, kept = download + fetched, kept + stays
            is_packed = not isinstance(source, FileSource | TableSource)
            # an archive lies beside its content until that is verified
            needed += fetched + stays if is_packed else stays
    return Size(download, kept, needed)


def need_room(
    manifest: DatasetManifest, raw: Path, paths: Sequence[str], *, from_mirror: bool
) -> None:
    """Raise MachineError with both numbers if the disk has no room for the sources at these paths.

    The bytes of an interrupted download count as there; 1 GiB stays free.
    """
    size = size_of(manifest, raw, paths)
    amount = size.kept if from_mirror else size.needed
    begun = sum(f.stat().st_size for f in staging_folder(raw).rglob("*") if f.is_file())
    needed = max(0, amount.bytes - begun) + KEPT_FREE_BYTES
    # the folders themselves may not be made yet
    place = next(folder for folder in (raw, *raw.parents) if folder.is_dir())
    if needed > (free := shutil.disk_usage(place).free):
        raise MachineError(
            f"{manifest.name} needs {'' if amount.is_whole else 'at least '}{needed} bytes "
            f"(1 GiB of them to stay free), {place} has {free} free",
            "free some space, or set AVSNN_HOME to a folder on a larger disk",
        )


def _amounts(source: Source, raw: Path) -> tuple[Amount, Amount]:
    """Return the bytes to fetch of a source, and its bytes on the disk."""
    if isinstance(source, FileSource):
        return (amount := _known(source.bytes)), amount
    if isinstance(source, FolderSource):
        index = index_of(source)
        unpacked = source.bytes if index is None else source.bytes or index.total_bytes
        packed = sum((_known(archive.bytes) for archive in source.archives), start=NOTHING)
        return packed if source.archives else _known(None), _known(unpacked)
    if isinstance(source, TableSource):
        index = index_of(source)
        return (amount := _known(None if index is None else index.total_bytes)), amount
    listed = kept_list(raw, source)
    total = None if listed is None else sum(file.bytes for file in listed)
    return _known(total), _known(None)


def _known(count: int | None) -> Amount:
    return Amount(count or 0, count is not None)
