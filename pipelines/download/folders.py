"""Bring a folder of files: copied from a mirror or unpacked from archives, verified, published."""

from collections.abc import Sequence
from pathlib import Path

from pipelines import registry
from pipelines.disk import store, temporary
from pipelines.download import archives
from pipelines.download.download import sync
from pipelines.download.index import (
    Discrepancy,
    Index,
    compare,
    make_index,
    read_index,
    tree_sha256,
)
from pipelines.download.manifest import FolderSource, TableSource
from pipelines.download.mirror import copy_folder, find_archives, find_folder
from pipelines.download.recorded import keep_index, kept_index, recorded, settle
from pipelines.download.source_file import (
    MAX_BYTES,
    MAX_FILES,
    Acquisition,
    by_hand,
    expected_of,
    get,
)
from pipelines.download.verify import hash_file, verify
from pipelines.errors import DataError

SHOWN_DISCREPANCIES = 20


def index_of(source: FolderSource | TableSource) -> Index | None:
    """Read the bundled table that lists a source's files; None if there is none."""
    if source.index is None:
        return None
    return read_index(registry.bundled("data_manifests") / source.index).below(source.path)


def bring_folder(acquisition: Acquisition, source: FolderSource) -> None:
    """Bring a folder, whole and verified. On DataError nothing is left."""
    target, index = acquisition.raw / source.path, index_of(source)
    if target.exists():
        return
    # a mirror's folder comes before its archives, and those before a download
    copied_from = packed = None
    if acquisition.mirror is not None:
        copied_from = find_folder(acquisition.mirror, source.path, index, source.holds)
        packed = None if copied_from else find_archives(acquisition.mirror, source)
    if copied_from is not None:
        with store.publish(target) as part:
            links = copy_folder(copied_from, part, index, *_limits(source, index))
            if links:
                acquisition.say(f"{source.path}: {links} links in {copied_from} were not followed")
            accept(acquisition.raw, source, part, named=copied_from)
        acquisition.say(f"{source.path}: taken from {copied_from}")
    elif packed is not None:
        for path, archive in zip(packed, source.archives, strict=False):
            verify(path, expected_of(archive))
        _settle(acquisition.raw, source, packed)
        _unpack(acquisition, source, index, packed)
        acquisition.say(f"{source.path}: unpacked from {packed[-1]}")
    elif not any(archive.urls for archive in source.archives):
        raise by_hand(acquisition.manifest, source.path)
    else:
        packed = [get(acquisition, archive, settled=False) for archive in source.archives]
        _settle(acquisition.raw, source, packed)
        _unpack(acquisition, source, index, packed)
        for path in packed:
            path.unlink()


def accept(raw: Path, source: FolderSource, folder: Path, named: Path) -> None:
    """Verify a folder before it is published; record the hash that the manifest does not have.

    named: the folder's origin, for messages. Raises DataError naming what is missing or changed.
    """
    index = index_of(source)
    if index is not None:
        refuse(compare(folder, index, named), named, len(index.files))
        return
    index = make_index(folder)
    tree = tree_sha256(index)
    if source.tree_sha256 is None:
        settle(raw, source.path, tree)
    elif tree != source.tree_sha256:
        raise DataError(
            f"{named}: the folder's sha256 is {tree}, expected {source.tree_sha256} "
            f"({len(index.files)} files, expected {source.files})",
            "take another copy with --from DIR; nothing was deleted",
        )
    keep_index(raw, source.path, index)


def refuse(discrepancies: Sequence[Discrepancy], named: Path, listed: int) -> None:
    """Raise DataError if there are discrepancies, with their counts and the first of them."""
    if not discrepancies:
        return
    lines = [str(discrepancy) for discrepancy in discrepancies[:SHOWN_DISCREPANCIES]]
    kinds = {
        kind: sum(f.kind == kind for f in discrepancies) for kind in ("missing", "changed", "extra")
    }
    counts = ", ".join(f"{count} {kind}" for kind, count in kinds.items() if count)
    more = (
        [f"and {len(discrepancies) - len(lines)} more"] if len(discrepancies) > len(lines) else []
    )
    raise DataError(
        "\n".join([f"{named}: of the {listed} files listed {counts}", *lines, *more]),
        "take a whole copy; a part of it, or an edited copy, can be used as your own data "
        "(dataset: folder)",
    )


def check_folder(raw: Path, source: FolderSource) -> list[Discrepancy]:
    """Verify a folder on disk; return its discrepancies."""
    folder = raw / source.path
    if not folder.is_dir():
        return [Discrepancy("missing", source.path, f"{folder}: no such folder")]
    index, tree = index_of(source), source.tree_sha256 or recorded(raw).get(source.path)
    if index is None:
        index = kept_index(raw, source.path)
    elif source.tree_sha256 is None:
        tree = None
    if index is None or (tree is not None and tree_sha256(index) != tree):
        index = make_index(folder)
        # without the list of files, only the hash over all of them can be compared
        if (actual := tree_sha256(index)) == tree:
            return []
        text = f"{folder}: the folder's sha256 is {actual}, expected {tree or '(never recorded)'}"
        return [Discrepancy("changed", source.path, text)]
    discrepancies = compare(folder, index)
    return [Discrepancy(f.kind, f"{source.path}/{f.path}", f.message) for f in discrepancies]


def _limits(source: FolderSource, index: Index | None) -> tuple[int, int]:
    """Return the bounds on the files and the bytes of a folder."""
    files = source.files if index is None else len(index.files)
    size = source.bytes or (None if index is None else index.total_bytes)
    return files or MAX_FILES, size or MAX_BYTES


def _settle(raw: Path, source: FolderSource, packed: Sequence[Path]) -> None:
    """Record the hashes of archives without one, unless the folder's own content is known."""
    if source.index or source.tree_sha256:
        return
    for path, archive in zip(packed, source.archives, strict=False):
        if not expected_of(archive).is_hashed:
            settle(raw, archive.path, hash_file(path, "sha256"))


def _unpack(
    acquisition: Acquisition, source: FolderSource, index: Index | None, packed: Sequence[Path]
) -> None:
    target = acquisition.raw / source.path
    unpacked = temporary.beside(target)
    max_files, max_bytes = _limits(source, index)
    try:
        archives.extract(
            packed,
            unpacked,
            max_bytes=max_bytes,
            max_files=max_files,
            folder=source.archive_folder,
            keep=None if index is None else index.files,
        )
        accept(acquisition.raw, source, unpacked, named=packed[-1])
        unpacked.rename(target)
        sync(target.parent)
    finally:
        store.remove(unpacked)
