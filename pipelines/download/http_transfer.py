"""One request for a file: the range asked for, the check of the answer, the bytes to the part."""

import http.client
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipelines.download import part_file
from pipelines.download.http_open import (
    CutError,
    RefusedError,
    cause_of,
    open_url,
    retry_after,
    status_text,
)
from pipelines.download.verify import CHUNK_BYTES, Expected
from pipelines.errors import MachineError

RETRIED_STATUSES = (408, 425, 429, 500, 502, 503, 504)
MIN_BYTES_PER_S = 1024

Progress = Callable[[int, int | None], None]


@dataclass(frozen=True)
class Transfer:
    """One mirror's address and the bounds on its answer.

    timeout_s: of each silence. slow_after_s: a speed below MIN_BYTES_PER_S over this time counts as
    a silence.
    """

    url: str
    part: Path
    expected: Expected
    limit: int
    timeout_s: float
    slow_after_s: float
    progress: Progress | None

    @property
    def promised(self) -> int | None:
        """The exact size; None where a re-compressed file may have another."""
        return None if self.expected.content_md5 else self.expected.bytes


def ask_once(transfer: Transfer) -> None:
    """Ask for the bytes that the part lacks and append them; return when the part is complete.

    Raises CutError, RefusedError, MachineError (disk too small) or OSError (disk).
    """
    part, note = transfer.part, part_file.read_note(transfer.part)
    have = part_file.size(part) if note.get("url") == transfer.url else 0
    if have and have == transfer.promised:
        return
    # Without a validator (RFC 9110, 13.1.5) only a hash shows that the two halves belong together.
    validator, expected = part_file.validator(note), transfer.expected
    if have > transfer.limit or not (validator or expected.md5 or expected.sha256):
        have = 0
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if validator:
            headers["If-Range"] = validator
    with open_url(transfer.url, headers, transfer.timeout_s) as response:
        # 416: nothing behind these bytes; the part is complete, or the file has become shorter
        if response.status == 416 and have:
            if response.headers.get("Content-Range", "") == f"bytes */{have}" and (
                transfer.promised in (None, have)
            ):
                return
            part_file.drop(part)
            raise CutError("the server's file is shorter than the part here")
        start, total = _accept(response, transfer, have, note)
        _receive(response, transfer, start, total)


def need_space(folder: Path, name: str, needed: int) -> None:
    """Raise MachineError with both numbers if a folder's disk has less room than needed."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise MachineError(
            f"{name} needs {needed} bytes, {folder} has {free} free",
            "free some space, or set AVSNN_HOME to a folder on a larger disk",
        )


def _accept(
    response: http.client.HTTPResponse, transfer: Transfer, have: int, note: dict[str, str]
) -> tuple[int, int | None]:
    """Return where the body starts and the bytes of the whole file, or refuse the answer."""
    status = response.status
    if status in RETRIED_STATUSES:
        raise CutError(status_text(status), retry_after(response))
    start, total = 0, response.length
    if status == 206 and have:
        # a range other than the one asked for would put bytes in the wrong place
        match = re.fullmatch(
            r"bytes (\d{1,18})-\d{1,18}/(\d{1,18}|\*)", response.headers.get("Content-Range", "")
        )
        if match is None or int(match[1]) != have or not part_file.is_same_file(note, response):
            part_file.drop(transfer.part)
            raise CutError("the file changed on the server")
        start, total = have, None if match[2] == "*" else int(match[2])
    elif status != 200:
        raise RefusedError(status_text(status))
    if total is not None and transfer.promised not in (None, total):
        raise RefusedError(f"offers {total} bytes, the manifest says {transfer.promised}")
    whole = start + (response.length or 0)
    if max(total or 0, whole) > transfer.limit or (total is not None and whole > total):
        raise RefusedError(f"promises more bytes than it may: {max(total or 0, whole)}")
    if total is not None:
        need_space(transfer.part.parent, transfer.part.name, total - start)
    return start, total


def _receive(
    response: http.client.HTTPResponse, transfer: Transfer, start: int, total: int | None
) -> None:
    have = start
    since, counted = time.monotonic(), start
    with transfer.part.open("ab" if start else "wb") as file:
        if not start:
            part_file.write_note(transfer.part, transfer.url, response)
        while chunk := _read(response):
            have += len(chunk)
            if have > (transfer.limit if total is None else total):
                # nothing of a server that breaks its own promise is worth resuming
                file.truncate(0)
                raise RefusedError("sends more bytes than promised")
            file.write(chunk)
            if transfer.progress is not None:
                transfer.progress(have, total)
            if (passed := time.monotonic() - since) >= transfer.slow_after_s:
                if have - counted < MIN_BYTES_PER_S * passed:
                    speed = (have - counted) / passed
                    raise CutError(f"{speed:.0f} bytes a second for {passed:.1f} s", is_slow=True)
                since, counted = time.monotonic(), have
    whole = transfer.promised if total is None else total
    if whole is not None and have < whole:
        raise CutError(f"cut at {have} of {whole} bytes")


def _read(response: http.client.HTTPResponse) -> bytes:
    try:
        # read1, not read: what arrived before a stall must not be lost with it.
        return response.read1(CHUNK_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise CutError(cause_of(error)) from error
