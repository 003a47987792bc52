"""An unfinished download: its bytes so far, and a note of the answer that they came from."""

import http.client
import json
from pathlib import Path


def size(path: Path) -> int:
    """Return a file's bytes, 0 where there is none."""
    return path.stat().st_size if path.is_file() else 0


def read_note(part: Path) -> dict[str, str]:
    """Return the note's url, etag and last_modified; {} where there is no readable note."""
    try:
        with _note_path(part).open("rb") as file:
            # bounded: the file lies in the user's folder, and may be anything
            note = json.loads(file.read(1 << 16))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(note, dict):
        return {}
    return {key: value for key, value in note.items() if isinstance(value, str)}


def write_note(part: Path, url: str, response: http.client.HTTPResponse) -> None:
    """Write the note of the address and version that the bytes of a part belong to."""
    note = {"url": url, **_identity(response)}
    _note_path(part).write_text(json.dumps(note), encoding="utf-8")


def drop_note(part: Path) -> None:
    """Remove the note of a part that is complete or abandoned."""
    _note_path(part).unlink(missing_ok=True)


def drop(part: Path) -> None:
    """Remove a part and its note."""
    part.unlink(missing_ok=True)
    drop_note(part)


def validator(note: dict[str, str]) -> str | None:
    """Return the value of If-Range (RFC 9110, 13.1.5), which must not be a weak ETag."""
    etag = note.get("etag")
    return etag if etag and not etag.startswith("W/") else note.get("last_modified")


def is_same_file(note: dict[str, str], response: http.client.HTTPResponse) -> bool:
    """Return whether an answer is of the noted version, judged by the headers that both have."""
    now = _identity(response)
    shared = [key for key in ("etag", "last_modified") if key in note and key in now]
    return not shared or note[shared[0]] == now[shared[0]]


def _note_path(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _identity(response: http.client.HTTPResponse) -> dict[str, str]:
    headers = {"etag": "ETag", "last_modified": "Last-Modified"}
    return {key: text for key, name in headers.items() if (text := response.headers.get(name))}
