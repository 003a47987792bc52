"""A folder on the user's disk that may hold a source: searched under several names, and copied."""

import os
import shutil
from pathlib import Path, PurePosixPath

from pipelines.download.download import refuse_dead_link
from pipelines.download.index import Index, files_in, is_plain
from pipelines.download.manifest import FolderSource
from pipelines.download.source_file import MAX_BYTES, MAX_FILES
from pipelines.errors import DataError

ARCHIVE_ENDS = (".zip", ".tar", ".tar.gz", ".tgz")
# files of an index that are looked for, spread over it: a table may list a million
SAMPLED_FILES = 20


def find_folder(
    mirror: Path, path: str, index: Index | None = None, holds: tuple[str, ...] = ()
) -> Path | None:
    """Return a source's folder in a mirror, under its path or its name, or the mirror itself.

    The mirror itself is the folder if it has the folder's name, or holds files of its index or any
    of the names in holds. Returns None if it has no such folder. Raises DataError for a link to
    nowhere.
    """
    name = PurePosixPath(path).name
    for folder in (mirror / path, mirror / name):
        refuse_dead_link(folder)
        if folder.is_dir():
            return folder
    known = [mirror / part for part in holds]
    if index is not None:
        paths = sorted(index.files)
        known += [mirror / part for part in paths[:: max(1, len(paths) // SAMPLED_FILES)]]
    is_it = mirror.resolve().name == name or any(place.exists() for place in known)
    # a mirror of archives may have the folder's name too: then those are unpacked
    return mirror if is_it and not find_any_archive(mirror) else None


def find_archives(mirror: Path, source: FolderSource) -> list[Path] | None:
    """Return all archives of a folder in a mirror, under their paths or names, else None.

    Where the manifest names no archive, or none that can be downloaded, the only archive in the
    mirror is taken. Raises DataError if there are several.
    """
    named = []
    for archive in source.archives:
        places = (mirror / archive.path, mirror / PurePosixPath(archive.path).name)
        for place in places:
            refuse_dead_link(place)
        named += [place for place in places if place.is_file()][:1]
    if source.archives and len(named) == len(source.archives):
        return named
    if any(archive.urls for archive in source.archives):
        return None
    candidates = find_any_archive(mirror)
    if len(candidates) > 1:
        names = ", ".join(path.name for path in candidates[:5])
        raise DataError(
            f"{mirror} holds {len(candidates)} archives: {names}",
            f"put the one that is {source.path} in a folder of its own",
        )
    return candidates or None


def find_any_archive(mirror: Path) -> list[Path]:
    """List the archives directly in a folder, by name."""
    files = (Path(entry.path) for entry in os.scandir(mirror) if entry.is_file())
    return sorted(path for path in files if path.name.lower().endswith(ARCHIVE_ENDS))


def copy_folder(
    folder: Path,
    part: Path,
    index: Index | None,
    max_files: int = MAX_FILES,
    max_bytes: int = MAX_BYTES,
) -> int:
    """Copy a folder, or only the files that its index lists; return the number of links left out.

    Links and devices are not copied. Raises DataError for more files or bytes than allowed.
    """
    part.mkdir(parents=True)
    count = total = links = 0
    for name, size in files_in(folder):
        if index is not None and name not in index.files:
            continue
        if size is None:
            links += 1
            continue
        count, total = count + 1, total + size
        if count > max_files or total > max_bytes:
            raise DataError(
                f"{folder} holds more than the {max_files} files, {max_bytes} bytes expected",
                "remove what does not belong there, or take another copy with --from DIR",
            )
        if not is_plain(name):
            raise DataError(f"{folder}: {name!r} is not a plain file name", "rename or remove it")
        (part / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / name, part / name, follow_symlinks=False)
    return links
