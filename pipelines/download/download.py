"""Download a file from its mirrors: resumed, verified, published whole or not at all.

It uses the standard library only. The caller holds the lock of the data set, so that no two
processes write the same part file.
"""

import os
import re
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

from pipelines.download import part_file
from pipelines.download.http_open import CutError, RefusedError
from pipelines.download.http_transfer import Progress, Transfer, ask_once, need_space
from pipelines.download.verify import MAX_CONTENT_RATIO, Expected, mismatch, verify
from pipelines.errors import DataError, MachineError

MAX_WAIT_S = 60.0
MAX_BYTES = 64 << 30


def fetch(
    urls: Sequence[str],
    destination: Path,
    expected: Expected,
    *,
    progress: Progress | None = None,
    attempts: int = 5,
    backoff_s: float = 1.0,
    timeout_s: float = 30.0,
    slow_after_s: float = 60.0,
    sleep: Callable[[float], object] = time.sleep,
    max_bytes: int = MAX_BYTES,
) -> None:
    """Download from the first mirror that gives the right bytes, resuming what is there.

    The bytes grow in `.{name}.part` with `.{name}.part.json` beside it (address, ETag,
    Last-Modified), which an interrupt leaves for the next call. Wrong bytes are kept as
    `{name}.wrong` and never resumed.
    progress: called with (bytes so far, bytes in all or None). attempts: per mirror, counted from
    one again after each that brought new bytes. backoff_s doubles with each attempt. timeout_s
    bounds each silence; less than 1 KiB/s over slow_after_s counts as a silence.
    Raises DataError when no mirror has the file, MachineError when the disk does not take it.
    """
    part = destination.with_name(f".{plain_name(destination.name)}.part")
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
            lacking = expected.bytes - part_file.size(part)
            need_space(destination.parent, destination.name, lacking)
        # the mirror of the part comes first: at another one its bytes would count for nothing
        begun = part_file.read_note(part).get("url")
        for url in sorted(urls, key=lambda url: url != begun):
            transfer = Transfer(url, part, expected, limit, timeout_s, slow_after_s, progress)
            try:
                _persist(transfer, attempts, backoff_s, sleep)
            except RefusedError as refusal:
                refusals.append(f"{url}: {refusal}")
                continue
            if (differs := mismatch(part, expected)) is None:
                return _publish(part, destination)
            wrong = _set_aside(part, destination, url, differs)
        have = part_file.size(part)
    except OSError as error:
        raise MachineError(
            f"{destination}: cannot be written ({error.strerror or error})",
            f"check the space and the permissions of {destination.parent}; a download resumes",
        ) from error
    if wrong is not None:
        raise wrong
    causes = "; ".join(refusals) or "the manifest has no address for it"
    raise DataError(
        f"cannot download {destination.name}: {causes}",
        f"try again: it resumes at {have} bytes, "
        "or take the file by hand and give it with --from DIR",
    )


def take_from(folder: Path, relative: str, destination: Path, expected: Expected) -> bool:
    """Copy a file from a mirror folder on disk; return False if the folder does not have it.

    relative: a POSIX path inside folder. Links in the user's own folder are followed.
    Raises DataError naming the mirror's file when its bytes are wrong.
    """
    names = PurePosixPath(relative).parts
    if not names or relative.startswith("/"):
        raise DataError(f"{relative!r}: not a path inside a folder", "correct it in the manifest")
    source = folder.joinpath(*(plain_name(name) for name in names))
    refuse_dead_link(source)
    if not source.is_file():
        return False
    verify(source, expected)
    part = destination.with_name(f".{plain_name(destination.name)}.{os.getpid()}.part")
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        need_space(destination.parent, destination.name, source.stat().st_size)
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


def refuse_dead_link(path: Path) -> None:
    """Raise DataError for a link to nowhere, which a user meant to be followed."""
    if path.is_symlink() and not path.exists():
        raise DataError(
            f"{path} is a link to {path.readlink()}, which is not there", "repair the link"
        )


def sync(path: Path) -> None:
    """Flush a file or folder to the disk, so that it survives a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def plain_name(name: str) -> str:
    """Return the name if it is a single component of a path. Raises DataError if not."""
    if (
        name in ("", ".", "..")
        or len(name.encode(errors="replace")) > 200
        or re.search(r"[\x00-\x1f\x7f/\\:\ud800-\udfff]", name)
    ):
        raise DataError(f"{name!r}: not a plain file name", "correct it in the manifest")
    return name


def _persist(
    transfer: Transfer, attempts: int, backoff_s: float, sleep: Callable[[float], object]
) -> None:
    best, failures = part_file.size(transfer.part), 0
    while True:
        try:
            return ask_once(transfer)
        except CutError as cut:
            # Measured against the most bytes so far: a server that ignores Range and cuts each
            # time would otherwise count as progress for ever; so would one that drips.
            have = part_file.size(transfer.part)
            failures = 1 if have > best and not cut.is_slow else failures + 1
            best = max(best, have)
            if failures >= attempts:
                raise RefusedError(f"{cut}, at the last of {attempts} attempts") from cut
            backoff = backoff_s * 2.0 ** (failures - 1)
            sleep(min(backoff if cut.wait_s is None else cut.wait_s, MAX_WAIT_S))


def _byte_limit(expected: Expected, max_bytes: int) -> int:
    if expected.bytes is None:
        return max_bytes
    ratio = MAX_CONTENT_RATIO if expected.content_md5 else 1
    return min(max_bytes, expected.bytes * ratio)


def _set_aside(part: Path, destination: Path, url: str, differs: str) -> DataError:
    # kept, so that a user can look whether it is an error page or a newer version
    wrong = destination.with_name(f"{destination.name}.wrong")
    part.replace(wrong)
    part_file.drop_note(part)
    return DataError(
        f"{destination.name} from {url}: {differs}; kept as {wrong}",
        "try again: it starts from zero; if it comes out the same, the source has changed: "
        "take the file by hand and give it with --from DIR",
    )


def _publish(part: Path, destination: Path) -> None:
    # flushed before it is renamed: after a power cut the name must not lead to an empty file
    sync(part)
    part.replace(destination)
    part_file.drop_note(part)
    sync(destination.parent)
