"""Bring the files of a Zenodo record, by its own list; archives among them are unpacked."""

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from pipelines.disk import store, temporary
from pipelines.download import archives
from pipelines.download.download import sync
from pipelines.download.folders import accept
from pipelines.download.index import files_in
from pipelines.download.manifest import FileSource, FolderSource, RecordSource
from pipelines.download.mirror import ARCHIVE_ENDS, find_folder
from pipelines.download.record_list import RecordFile, kept_list, list_files
from pipelines.download.source_file import MAX_BYTES, MAX_FILES, Acquisition, get
from pipelines.download.verify import Expected, hash_file, verify
from pipelines.errors import DataError

PART = re.compile(r"(.+)\.(?:z\d{2,3}|zip)", re.IGNORECASE)


def bring_record(acquisition: Acquisition, source: RecordSource) -> None:
    """Bring a record's files, verified by the record's md5.

    A mirror may hold the files as the record has them, or the unpacked folder. Raises DataError.
    """
    target = acquisition.raw / source.path
    if target.exists():
        return
    copied_from = (
        None if acquisition.mirror is None else find_folder(acquisition.mirror, source.path)
    )
    if copied_from is not None:
        kept = {file.name: file for file in kept_list(acquisition.raw, source) or ()}
        contents = files_in(copied_from)
        files = {name: copied_from / name for name, size in contents if size is not None}
        # a mirror of the unpacked folder has no file of the record: then there is no md5 to compare
        if set(kept) <= set(files):
            for name, file in kept.items():
                verify(files[name], Expected(file.bytes, md5=file.md5))
        _assemble(acquisition, source, files, named=copied_from, move=False)
        acquisition.say(f"{source.path}: taken from {copied_from}")
        return
    listed = list_files(acquisition, source)
    size = sum(file.bytes for file in listed)
    acquisition.say(f"{source.path}: {len(listed)} files, {size / 1e6:.1f} MB")
    files = {file.name: _get(acquisition, source, file) for file in listed}
    _assemble(acquisition, source, files, named=acquisition.staged(source.path), move=True)
    store.remove(acquisition.staged(source.path))


def groups(names: Sequence[str]) -> tuple[list[list[str]], list[str]]:
    """Return the archives, each as its parts in order, and the other files.

    A whole archive is a group of one; the parts of a split zip make one group.
    """
    parts: dict[str, list[str]] = {}
    others, whole = [], []
    for name in sorted(names):
        if match := PART.fullmatch(name):
            parts.setdefault(match[1], []).append(name)
        elif name.lower().endswith(ARCHIVE_ENDS):
            whole.append([name])
        else:
            others.append(name)
    for group in parts.values():  # the .zip is the last part
        group.sort(key=lambda name: (name.lower().endswith(".zip"), len(name), name))
    return sorted([*parts.values(), *whole]), others


def _get(acquisition: Acquisition, source: RecordSource, file: RecordFile) -> Path:
    # not validated: the name is the record's own, the manifest's narrower pattern does not apply
    file_source = FileSource.model_construct(
        path=f"{source.path}/{file.name}",
        urls=(file.url,),
        bytes=file.bytes,
        md5=file.md5,
        sha256=None,
        content_md5=None,
    )
    staged = acquisition.staged(file_source.path)
    if staged.exists():  # from before an interrupt
        try:
            verify(staged, Expected(file.bytes, md5=file.md5))
            return staged
        except DataError:
            staged.unlink()
    return get(acquisition, file_source)


def _assemble(
    acquisition: Acquisition,
    source: RecordSource,
    files: dict[str, Path],
    named: Path,
    *,
    move: bool,
) -> None:
    """Put the unpacked archives and the other files into one folder, and publish it."""
    target = acquisition.raw / source.path
    work = temporary.beside(target)
    packed, others = groups(list(files))
    room_files, room_bytes = MAX_FILES - len(others), MAX_BYTES
    try:
        store.remove(work)
        whole = work / "whole"
        whole.mkdir(parents=True)
        for name in others:
            room_bytes -= files[name].stat().st_size
            if min(room_files, room_bytes) < 0:
                raise DataError(
                    f"{named} holds more than {MAX_FILES} files or {MAX_BYTES} bytes",
                    "remove what does not belong there",
                )
            _place(files[name], whole / name, source, move=move)
        for number, parts in enumerate(packed):
            unpacked = work / str(number)
            paths = [files[name] for name in parts]
            # the bound is on all archives together: each gets what the ones before it have left
            room_files -= archives.extract(
                paths, unpacked, max_bytes=room_bytes, max_files=room_files
            )
            for name, size in list(files_in(unpacked)):
                room_bytes -= size or 0
                _place(unpacked / name, whole / name, source, move=True)
        accept(acquisition.raw, FolderSource(path=source.path), whole, named)
        whole.rename(target)
        sync(target.parent)
    finally:
        store.remove(work)


def _place(file: Path, place: Path, source: RecordSource, *, move: bool) -> None:
    """Move or copy a file to its place. Raises DataError if a different file is there."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        same = False
    else:
        same = not place.exists() or (
            place.is_file() and hash_file(place, "sha256") == hash_file(file, "sha256")
        )
    if not same:
        raise DataError(
            f"{source.path}: two of its archives have different files {place.name}",
            "unpack them by hand and give the folder with --from DIR",
        )
    if move:
        file.replace(place)
    else:
        shutil.copyfile(file, place)
        sync(place)
