"""Bring many files with an address each, several at a time, and publish them as one folder."""

import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from urllib.parse import quote

from pipelines.disk import store
from pipelines.download.download import fetch, sync, take_from
from pipelines.download.folders import index_of, refuse
from pipelines.download.index import Discrepancy, Index, compare
from pipelines.download.manifest import TableSource
from pipelines.download.source_file import Acquisition
from pipelines.download.verify import Expected

THREADS = 4


class _StoppedError(Exception):
    """Another file has failed, or the user has interrupted the download."""


class _Progress:
    """Adds up the bytes of files that arrive at the same time, and stops all of them."""

    def __init__(self, acquisition: Acquisition, total: int | None) -> None:
        self._acquisition, self._total, self._done = acquisition, total, 0
        self._lock, self.stopped = threading.Lock(), threading.Event()

    def add(self, count: int) -> None:
        """Count bytes that arrived."""
        with self._lock:
            self._done += count
            if self._acquisition.progress is not None:
                self._acquisition.progress(self._done, self._total)

    def sleep(self, seconds: float) -> None:
        """Wait, unless all is to stop."""
        if self.stopped.wait(seconds):
            raise _StoppedError


def bring_table(acquisition: Acquisition, source: TableSource) -> None:
    """Bring and verify the files of a table.

    Files that a mirror has are copied; the rest is downloaded, four at a time. Files that arrived
    before an interrupt are kept and checked again. Raises DataError.
    """
    target, index = acquisition.raw / source.path, index_of(source)
    if target.exists():
        return
    assert index is not None
    staged = acquisition.staged(source.path)
    progress = _Progress(acquisition, index.total_bytes)
    acquisition.say(f"{source.path}: {len(index.files)} files")
    with ThreadPoolExecutor(THREADS) as pool:
        pending = [
            pool.submit(_bring, acquisition, source, index, name, staged / name, progress)
            for name in index.files
        ]
        try:
            for done in as_completed(pending):
                done.result()
        except BaseException:
            # else the threads would go on downloading after Ctrl-C
            progress.stopped.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    discrepancies = compare(staged, index)
    for discrepancy in discrepancies:  # left by an interrupt, or damaged since
        store.remove(staged / discrepancy.path)
    refuse(
        [discrepancy for discrepancy in discrepancies if discrepancy.kind != "extra"],
        staged,
        len(index.files),
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    staged.rename(target)
    sync(target.parent)


def check_table(raw: Path, source: TableSource) -> list[Discrepancy]:
    """Verify a table's files on disk; return the discrepancies."""
    folder, index = raw / source.path, index_of(source)
    if not folder.is_dir():
        return [Discrepancy("missing", source.path, f"{folder}: no such folder")]
    assert index is not None
    discrepancies = compare(folder, index)
    return [Discrepancy(f.kind, f"{source.path}/{f.path}", f.message) for f in discrepancies]


def _bring(
    acquisition: Acquisition,
    source: TableSource,
    index: Index,
    name: str,
    place: Path,
    progress: _Progress,
) -> None:
    entry = index.files[name]
    expected = Expected(entry.bytes, **{index.algorithm: entry.digest})
    if progress.stopped.is_set():
        raise _StoppedError
    if not place.exists() and not _take(acquisition, source, name, place, expected):
        reported = 0

        def report(have: int, _: int | None) -> None:
            nonlocal reported
            if progress.stopped.is_set():
                raise _StoppedError
            progress.add(have - reported)
            reported = have

        urls = [prefix + quote(index.prefix + name) for prefix in source.url_prefixes]
        fetch(urls, place, expected, progress=report, sleep=progress.sleep)
    else:
        progress.add(place.stat().st_size)


def _take(
    acquisition: Acquisition, source: TableSource, name: str, place: Path, want: Expected
) -> bool:
    return acquisition.mirror is not None and take_from(
        acquisition.mirror, f"{source.path}/{name}", place, want
    )
