"""The files of a Zenodo record, downloaded by its own list; archives among them unpacked."""

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


def bring_record(of: Acquisition, source: RecordSource) -> None:
    """Make a record's files present, verified by its own md5, or raise DataError.

    A mirror may hold the files as the record has them, or the unpacked folder.
    """
    target = of.raw / source.path
    if target.exists():
        return
    found = None if of.mirror is None else find_folder(of.mirror, source.path)
    if found is not None:
        kept = {file.name: file for file in kept_list(of.raw, source) or ()}
        files = {name: found / name for name, size in files_in(found) if size is not None}
        if set(kept) <= set(files):
            for name, file in kept.items():
                verify(files[name], Expected(file.bytes, md5=file.md5))
        _assemble(of, source, files, named=found, move=False)
        of.say(f"{source.path}: taken from {found}")
        return
    listed = list_files(of, source)
    size = sum(file.bytes for file in listed)
    of.say(f"{source.path}: {len(listed)} files, {size / 1e6:.1f} MB")
    files = {file.name: _get(of, source, file) for file in listed}
    _assemble(of, source, files, named=of.staged(source.path), move=True)
    store.remove(of.staged(source.path))


def groups(names: Sequence[str]) -> tuple[list[list[str]], list[str]]:
    """Tell archives from other files; the parts of a split zip make one group, in order.

    Returns the archives, each as its parts, and the other files.
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


def _get(of: Acquisition, source: RecordSource, file: RecordFile) -> Path:
    # its name is the record's own, so the manifest's narrower pattern does not apply
    wanted = FileSource.model_construct(
        path=f"{source.path}/{file.name}", urls=(file.url,), bytes=file.bytes, md5=file.md5,
        sha256=None, content_md5=None,
    )  # fmt: skip
    staged = of.staged(wanted.path)
    if staged.exists():  # from before an interrupt
        try:
            verify(staged, Expected(file.bytes, md5=file.md5))
            return staged
        except DataError:
            staged.unlink()
    return get(of, wanted)


def _assemble(
    of: Acquisition, source: RecordSource, files: dict[str, Path], named: Path, *, move: bool
) -> None:
    """Put the unpacked archives and the other files into one folder, and publish it."""
    target = of.raw / source.path
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
                raise DataError(f"{named} holds more than {MAX_FILES} files or {MAX_BYTES} bytes",
                                "remove what does not belong there")  # fmt: skip
            _place(files[name], whole / name, source, move=move)
        for number, parts in enumerate(packed):
            unpacked = work / str(number)
            room_files -= archives.extract(
                [files[name] for name in parts], unpacked, max_bytes=room_bytes,
                max_files=room_files,
            )  # fmt: skip
            for name, size in list(files_in(unpacked)):
                room_bytes -= size or 0
                _place(unpacked / name, whole / name, source, move=True)
        accept(of.raw, FolderSource(path=source.path), whole, named)
        whole.rename(target)
        sync(target.parent)
    finally:
        store.remove(work)


def _place(file: Path, place: Path, source: RecordSource, *, move: bool) -> None:
    """Put a file where it belongs; one that stands there already must be the same."""
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
