"""The list of a Zenodo record's files: requested from its API, checked, kept, compared later."""

import json
import re
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from pipelines.disk import store
from pipelines.download.download import fetch
from pipelines.download.index import is_plain
from pipelines.download.manifest import RecordSource
from pipelines.download.source_file import Acquisition
from pipelines.download.verify import Expected
from pipelines.errors import DataError

MAX_LIST_BYTES = 16 << 20
MAX_RECORD_FILES = 10_000
MAX_RECORD_BYTES = 1 << 40


class RecordFile(NamedTuple):
    """One file of a record. name: a relative path."""

    name: str
    bytes: int
    md5: str
    url: str


def list_files(acquisition: Acquisition, source: RecordSource) -> list[RecordFile]:
    """Request the list of a record's files; where the record does not answer, return the kept list.

    Raises DataError (no answer and no kept list, not a list of files, other files than in the kept
    list).
    """
    kept = kept_list(acquisition.raw, source)
    answer = acquisition.staged(f"{source.path}.json")
    try:
        fetch([source.api], answer, Expected(), max_bytes=MAX_LIST_BYTES)
    except DataError:
        if kept is None:
            raise
        return kept
    listed = parse(_content(answer), source.api)
    answer.unlink()
    if kept is None:
        store.publish_json(_kept_path(acquisition.raw, source), [file._asdict() for file in listed])
    elif differs := _differences(kept, listed):
        raise DataError(
            f"{source.api} lists other files than at the first download: {differs}",
            f"take the first version with --from DIR; or, to go on with the new one, remove "
            f"{_kept_path(acquisition.raw, source)} and what was made from the old one",
        )
    return listed


def kept_list(raw: Path, source: RecordSource) -> list[RecordFile] | None:
    """Return the list of the first download; None before it."""
    path = _kept_path(raw, source)
    if not path.exists():
        return None
    files = store.read_json(path, MAX_LIST_BYTES)
    try:
        return [RecordFile(**file) for file in files]
    except TypeError as error:
        raise DataError(f"{path} is damaged", "remove it to ask for the list again") from error


def parse(content: Any, api: str) -> list[RecordFile]:
    """Return the files of a record's JSON, sorted by name; nothing in it is trusted.

    Raises DataError naming the first entry that is not valid.
    """
    files = content.get("files") if isinstance(content, dict) else None
    if not isinstance(files, list) or not 0 < len(files) <= MAX_RECORD_FILES:
        raise _bad(api, "no list of files in it")
    listed = sorted(_file(file, api) for file in files)
    names = [file.name for file in listed]
    if len(set(names)) < len(names):
        raise _bad(api, "two files of one name")
    if sum(file.bytes for file in listed) > MAX_RECORD_BYTES:
        raise _bad(api, f"more than {MAX_RECORD_BYTES} bytes")
    return listed


def _file(file: Any, api: str) -> RecordFile:
    try:
        name, size, checksum = file["key"], file["size"], file["checksum"]
        url = file["links"]["self"]
    except (TypeError, KeyError, IndexError):
        raise _bad(api, "a file without key, size, checksum or link") from None
    if not isinstance(name, str) or not is_plain(name) or name.startswith("."):
        raise _bad(api, f"{name!r:.200} is not a relative path")
    # by type(): True is an int too
    if type(size) is not int or not 0 <= size <= MAX_RECORD_BYTES:
        raise _bad(api, f"{name!r}: the size {size!r:.50}")
    md5 = re.fullmatch(r"md5:([0-9a-f]{32})", checksum) if isinstance(checksum, str) else None
    if md5 is None:
        raise _bad(api, f"{name!r}: the checksum {checksum!r:.100}")
    # a list that came safely must not send the download over an open line
    schemes = ("https",) if api.startswith("https:") else ("http", "https")
    try:
        is_link = isinstance(url, str) and urlsplit(url).scheme in schemes and len(url) < 2000
    except ValueError:
        is_link = False
    if not is_link or re.search(r"[\x00-\x20\x7f]", url):
        raise _bad(api, f"{name!r}: the link {url!r:.200}")
    return RecordFile(name, size, md5[1], url)


def _bad(api: str, what: str) -> DataError:
    return DataError(f"{api}: {what}", "take the files by hand and give them with --from DIR")


def _content(answer: Path) -> Any:
    try:
        return json.loads(answer.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None


def _differences(kept: list[RecordFile], listed: list[RecordFile]) -> str:
    # without the address, which may change while the file stays the same
    before, now = ({file.name: file[:3] for file in files} for files in (kept, listed))
    kinds = {
        "gone": sorted(before.keys() - now.keys()),
        "new": sorted(now.keys() - before.keys()),
        "changed": sorted(n for n in before.keys() & now.keys() if before[n] != now[n]),
    }
    return "; ".join(f"{kind} {', '.join(names[:5])}" for kind, names in kinds.items() if names)


def _kept_path(raw: Path, source: RecordSource) -> Path:
    return raw / f"{source.path.replace('/', '+')}.record.json"
