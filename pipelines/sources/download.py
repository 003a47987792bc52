"""A file from its mirrors to its place: resumed, verified, published whole or not at all.

Standard library only. The caller holds the lock of the dataset, so that no two processes write
the same part file.
"""

import gzip
import hashlib
import http.client
import json
import os
import re
import shutil
import ssl
import string
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePosixPath
from typing import IO
from urllib.parse import quote, urljoin, urlsplit
from urllib.request import HTTPHandler, HTTPSHandler, OpenerDirector, ProxyHandler, Request

from pipelines.errors import DataError, MachineError

MAX_REDIRECTS = 5
MAX_WAIT_S = 60.0
CHUNK_BYTES = 1 << 18
MAX_CONTENT_BYTES = 8 << 30
MAX_CONTENT_RATIO = 50
REDIRECTS = (301, 302, 303, 307, 308)
PASSING = (408, 425, 429, 500, 502, 503, 504)
RESUME_HINT = (
    "try again: it resumes at {} bytes, or take the file by hand and give it with --from DIR"
)


@dataclass(frozen=True)
class Expected:
    """What the manifest promises of a file; None is unknown.

    content_md5: md5 of the gunzipped content, so that a mirror's re-compressed .gz passes.
    """

    bytes: int | None = None
    md5: str | None = None
    sha256: str | None = None
    content_md5: str | None = None


class _CutError(Exception):
    """The answer ended early or was a passing refusal: worth asking the same mirror again."""

    def __init__(self, cause: str, wait_s: float | None = None) -> None:
        super().__init__(cause)
        self.wait_s = wait_s


class _RefusedError(Exception):
    """This mirror will not give the file that the manifest means: ask the next one."""


def hash_file(path: Path, algorithm: str) -> str:
    """Return a file's digest in lower-case hex; algorithm is a name of hashlib, such as "md5".

    Raises DataError when the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return _digest(file, algorithm, limit=None)
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror})", "check the path and its permissions"
        ) from error


def verify(path: Path, expected: Expected) -> None:
    """Check a file's size and hashes against the manifest; deletes and changes nothing.

    Another size or hash passes when content_md5 is given and fits the gunzipped content.
    Raises DataError naming the file and both values.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file", "avsnn download fetches it")
    if mismatch := _mismatch(path, expected):
        raise DataError(
            f"{path}: {mismatch}", "move the file away and download it again, or take another copy"
        )


def fetch(
    urls: Sequence[str],
    destination: Path,
    expected: Expected,
    *,
    progress: Callable[[int, int | None], None] | None = None,
    attempts: int = 5,
    backoff_s: float = 1.0,
    timeout_s: float = 30.0,
    sleep: Callable[[float], None] = time.sleep,
    max_bytes: int = 64 << 30,
) -> None:
    """Download from the first mirror that gives the right bytes, resuming what is there.

    The bytes grow in `.{name}.part` with `.{name}.part.json` beside it (address, ETag,
    Last-Modified), which an interrupt leaves for the next call. Wrong bytes are kept as
    `{name}.wrong` and never resumed.
    progress: called with (bytes so far, bytes in all or None). attempts: per mirror, counted anew
    whenever bytes were gained. backoff_s doubles with each attempt; timeout_s bounds each silence.
    Raises DataError when no mirror has the file, MachineError when the disk does not take it.
    """
    part = destination.with_name(f".{_plain_name(destination.name)}.part")
    limit = _byte_limit(expected, max_bytes)
    if expected.bytes is not None and expected.bytes > limit:
        raise DataError(
            f"{destination.name}: {expected.bytes} bytes exceed the {limit} allowed",
            "correct the size in the manifest",
        )
    refusals: list[str] = []
    wrong: DataError | None = None
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        if expected.bytes is not None:
            _need_space(destination.parent, destination.name, expected.bytes - _size(part))
        begun = _read_note(part).get("url")
        for url in sorted(urls, key=lambda url: url != begun):
            request = _Download(url, part, expected, limit, timeout_s, progress)
            try:
                _persist(request, attempts, backoff_s, sleep)
            except _RefusedError as refusal:
                refusals.append(f"{url}: {refusal}")
                continue
            if (mismatch := _mismatch(part, expected)) is None:
                return _publish(part, destination)
            wrong = _set_aside(part, destination, url, mismatch)
        have = _size(part)
    except OSError as error:
        raise MachineError(
            f"{destination}: cannot be written ({error.strerror or error})",
            f"check the space and the permissions of {destination.parent}; a download resumes",
        ) from error
    if wrong is not None:
        raise wrong
    causes = "; ".join(refusals) or "the manifest has no address for it"
    raise DataError(f"cannot download {destination.name}: {causes}", RESUME_HINT.format(have))


def take_from(folder: Path, relative: str, destination: Path, expected: Expected) -> bool:
    """Copy a file that a mirror folder on disk already has; False when it is not there.

    relative: POSIX path inside folder. Links in the user's own folder are followed.
    Raises DataError naming the mirror's file when its bytes are wrong.
    """
    names = PurePosixPath(relative).parts
    if not names or relative.startswith("/"):
        raise DataError(f"{relative!r}: not a path inside a folder", "correct it in the manifest")
    source = folder.joinpath(*(_plain_name(name) for name in names))
    if not source.is_file():
        return False
    verify(source, expected)
    part = destination.with_name(f".{_plain_name(destination.name)}.{os.getpid()}.part")
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        _need_space(destination.parent, destination.name, source.stat().st_size)
        shutil.copyfile(source, part)
        _publish(part, destination)
    except OSError as error:
        raise MachineError(
            f"cannot copy {source} to {destination} ({error.strerror or error})",
            f"check the space and the permissions of {destination.parent}",
        ) from error
    finally:
        part.unlink(missing_ok=True)
    return True


def sync(path: Path) -> None:
    """Make a file's or folder's bytes survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@dataclass(frozen=True)
class _Download:
    """One mirror's address and what bounds the answer."""

    url: str
    part: Path
    expected: Expected
    limit: int
    timeout_s: float
    progress: Callable[[int, int | None], None] | None

    @property
    def promised(self) -> int | None:
        """The exact size, unless a re-compressed file may have another."""
        return None if self.expected.content_md5 else self.expected.bytes


def _persist(
    request: _Download, attempts: int, backoff_s: float, sleep: Callable[[float], None]
) -> None:
    best, failures = _size(request.part), 0
    while True:
        try:
            return _ask_once(request)
        except _CutError as cut:
            # Measured against the high-water mark: a server that ignores Range and cuts each
            # time would otherwise count as progress for ever.
            have = _size(request.part)
            failures = 1 if have > best else failures + 1
            best = max(best, have)
            if failures >= attempts:
                raise _RefusedError(f"{cut}, at the last of {attempts} attempts") from cut
            backoff = backoff_s * 2.0 ** (failures - 1)
            sleep(min(backoff if cut.wait_s is None else cut.wait_s, MAX_WAIT_S))


def _ask_once(request: _Download) -> None:
    part, note = request.part, _read_note(request.part)
    have = _size(part) if note.get("url") == request.url else 0
    if have and have == request.promised:
        return
    # Without a validator only a hash can tell whether the two halves belong together.
    validator = _validator(note)
    if have > request.limit or not (validator or request.expected.md5 or request.expected.sha256):
        have = 0
    headers = {"User-Agent": user_agent(), "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if validator:
            headers["If-Range"] = validator
    with _open(request.url, headers, request.timeout_s) as response:
        if response.status == 416 and have:
            if response.headers.get("Content-Range", "") == f"bytes */{have}" and (
                request.promised in (None, have)
            ):
                return
            raise _start_over(part, "the server's file is shorter than the part here")
        start, total = _accept(response, request, have, note)
        _receive(response, request, start, total)


def _accept(
    response: http.client.HTTPResponse, request: _Download, have: int, note: dict[str, str]
) -> tuple[int, int | None]:
    """Return where the body starts and how long the whole file is, or refuse the answer."""
    status = response.status
    if status in PASSING:
        raise _CutError(_status_text(status), _retry_after(response))
    start, total = 0, response.length
    if status == 206 and have:
        match = re.fullmatch(
            r"bytes (\d{1,18})-\d{1,18}/(\d{1,18}|\*)", response.headers.get("Content-Range", "")
        )
        if match is None or int(match[1]) != have or not _same_file(note, response):
            raise _start_over(request.part, "the file changed on the server")
        start, total = have, None if match[2] == "*" else int(match[2])
    elif status != 200:
        raise _RefusedError(_status_text(status))
    if total is not None and request.promised not in (None, total):
        raise _RefusedError(f"offers {total} bytes, the manifest says {request.promised}")
    whole = start + (response.length or 0)
    if max(total or 0, whole) > request.limit or (total is not None and whole > total):
        raise _RefusedError(f"promises more bytes than it may: {max(total or 0, whole)}")
    if total is not None:
        _need_space(request.part.parent, request.part.name, total - start)
    return start, total


def _receive(
    response: http.client.HTTPResponse, request: _Download, start: int, total: int | None
) -> None:
    have = start
    with request.part.open("ab" if start else "wb") as file:
        if not start:
            _write_note(request, response)
        while chunk := _read(response):
            have += len(chunk)
            if have > (request.limit if total is None else total):
                file.truncate(0)
                raise _RefusedError("sends more bytes than promised")
            file.write(chunk)
            if request.progress is not None:
                request.progress(have, total)
    whole = request.promised if total is None else total
    if whole is not None and have < whole:
        raise _CutError(f"cut at {have} of {whole} bytes")


def _read(response: http.client.HTTPResponse) -> bytes:
    try:
        # read1, not read: what arrived before a stall must not be lost with it.
        return response.read1(CHUNK_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise _CutError(_cause(error)) from error


def _open(url: str, headers: dict[str, str], timeout_s: float) -> http.client.HTTPResponse:
    opener = OpenerDirector()
    for handler in (ProxyHandler(), HTTPHandler(), HTTPSHandler()):
        opener.add_handler(handler)
    seen: list[str] = []
    while True:
        try:
            parts = urlsplit(url)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise _RefusedError(f"{url[:200]!r} is not an http or https address")
            response: http.client.HTTPResponse = opener.open(
                Request(url, headers=headers), timeout=timeout_s
            )
            if response.status not in REDIRECTS:
                return response
            response.close()
            seen.append(url)
            location = quote(response.headers.get("Location", ""), safe=string.punctuation)
            url = urljoin(url, location)
        except (ValueError, http.client.InvalidURL) as error:
            raise _RefusedError(f"{url[:200]!r} is not an address ({_cause(error)})") from error
        except (OSError, http.client.HTTPException) as error:
            if isinstance(getattr(error, "reason", error), ssl.SSLCertVerificationError):
                raise _RefusedError(_cause(error)) from error
            raise _CutError(_cause(error)) from error
        if url in seen:
            raise _RefusedError(f"redirects in a circle, back to {url[:200]}")
        if len(seen) > MAX_REDIRECTS:
            raise _RefusedError(f"more than {MAX_REDIRECTS} redirects, the last to {url[:200]}")


def user_agent() -> str:
    """Return the name that servers see, `avsnn/<version>`."""
    try:
        return f"avsnn/{version('avsnn')}"
    except PackageNotFoundError:
        return "avsnn/0"


def _cause(error: Exception) -> str:
    reason = getattr(error, "reason", error)
    # It may quote the server, whose control characters must not reach the terminal.
    text = str(reason).encode("unicode_escape").decode()[:200]
    return f"{type(reason).__name__}: {text}" if text else type(reason).__name__


def _status_text(status: int) -> str:
    # Our own words: a server's reason phrase could carry control characters to the terminal.
    return f"HTTP {status} {http.client.responses.get(status, '')}".strip()


def _retry_after(response: http.client.HTTPResponse) -> float | None:
    text = response.headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]{1,9}", text):
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    moment = moment.replace(tzinfo=moment.tzinfo or UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def _note_path(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _read_note(part: Path) -> dict[str, str]:
    try:
        with _note_path(part).open("rb") as file:
            note = json.loads(file.read(1 << 16))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(note, dict):
        return {}
    return {key: value for key, value in note.items() if isinstance(value, str)}


def _identity(response: http.client.HTTPResponse) -> dict[str, str]:
    found = {"etag": "ETag", "last_modified": "Last-Modified"}
    return {key: text for key, name in found.items() if (text := response.headers.get(name))}


def _write_note(request: _Download, response: http.client.HTTPResponse) -> None:
    note = {"url": request.url, **_identity(response)}
    _note_path(request.part).write_text(json.dumps(note), encoding="utf-8")


def _validator(note: dict[str, str]) -> str | None:
    # RFC 9110, 13.1.5: a weak ETag must not stand in If-Range.
    etag = note.get("etag")
    return etag if etag and not etag.startswith("W/") else note.get("last_modified")


def _same_file(note: dict[str, str], response: http.client.HTTPResponse) -> bool:
    now = _identity(response)
    shared = [key for key in ("etag", "last_modified") if key in note and key in now]
    return not shared or note[shared[0]] == now[shared[0]]


def _start_over(part: Path, cause: str) -> _CutError:
    part.unlink(missing_ok=True)
    _note_path(part).unlink(missing_ok=True)
    return _CutError(cause)


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _plain_name(name: str) -> str:
    if (
        name in ("", ".", "..")
        or len(name.encode(errors="replace")) > 200
        or re.search(r"[\x00-\x1f\x7f/\\:]", name)
    ):
        raise DataError(f"{name!r}: not a plain file name", "correct it in the manifest")
    return name


def _byte_limit(expected: Expected, max_bytes: int) -> int:
    if expected.bytes is None:
        return max_bytes
    ratio = MAX_CONTENT_RATIO if expected.content_md5 else 1
    return min(max_bytes, expected.bytes * ratio)


def _need_space(folder: Path, name: str, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise MachineError(
            f"{name} needs {needed} bytes, {folder} has {free} free",
            "free some space, or set AVSNN_HOME to a folder on a larger disk",
        )


def _digest(file: IO[bytes] | gzip.GzipFile, algorithm: str, limit: int | None) -> str:
    digest, count = hashlib.new(algorithm, usedforsecurity=False), 0
    while chunk := file.read(CHUNK_BYTES):
        count += len(chunk)
        if limit is not None and count > limit:
            raise ValueError(f"more than {limit} bytes")
        digest.update(chunk)
    return digest.hexdigest()


def _mismatch(path: Path, expected: Expected) -> str | None:
    """Say what differs from the manifest, with the expected and the found value."""
    differs = None
    size = path.stat().st_size
    if expected.bytes not in (None, size):
        differs = f"has {size} bytes, the manifest says {expected.bytes}"
    for algorithm, promised in (("sha256", expected.sha256), ("md5", expected.md5)):
        if promised is None or (differs is not None and expected.content_md5):
            continue
        if (found := hash_file(path, algorithm)) != promised.lower():
            said = f"{algorithm} is {found}, the manifest says {promised.lower()}"
            differs = said if differs is None else f"{differs}; {said}"
    hashed = expected.sha256 or expected.md5
    if expected.content_md5 is None or (hashed and differs is None):
        return differs
    limit = min(MAX_CONTENT_BYTES, MAX_CONTENT_RATIO * (expected.bytes or MAX_CONTENT_BYTES))
    try:
        with gzip.open(path) as file:
            found = _digest(file, "md5", limit)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        found = f"unreadable ({error})"
    if found == expected.content_md5.lower():
        return None
    said = f"md5 of the gunzipped content is {found}, the manifest says {expected.content_md5}"
    return said if differs is None else f"{differs}; {said}"


def _set_aside(part: Path, destination: Path, url: str, mismatch: str) -> DataError:
    """Keep wrong bytes for a look, but out of the way of the next attempt."""
    wrong = destination.with_name(f"{destination.name}.wrong")
    part.replace(wrong)
    _note_path(part).unlink(missing_ok=True)
    return DataError(
        f"{destination.name} from {url}: {mismatch}; kept as {wrong}",
        "try again: it starts from zero; if it comes out the same, the source has changed: "
        "take the file by hand and give it with --from DIR",
    )


def _publish(part: Path, destination: Path) -> None:
    sync(part)
    part.replace(destination)
    _note_path(part).unlink(missing_ok=True)
    sync(destination.parent)
