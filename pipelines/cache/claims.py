"""Claims of runs on caches: from before a cache is built until the run is removed.

A run's env.json lists its caches once they are whole. Until then claims.json lists them, and counts
only while the run's lock is held.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pipelines.disk import locks, store
from pipelines.errors import DataError
from pipelines.plan.plan import ANEW
from pipelines.results import run_files, schemas

CLAIMS = "claims.json"


@contextmanager
def deciding(waiting: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock on all claims: taken to lay a claim, and to remove caches without one."""
    path = store.home() / "cache" / "claims"
    with store.lock(path, what="with claims on caches", waiting=waiting):
        yield


def lay(run: Path, caches: Iterable[str], waiting: Callable[[str], None]) -> None:
    """Write which caches a run will be trained on; call with the run's lock held."""
    with deciding(waiting):
        store.publish_json(run / CLAIMS, {"caches": sorted(caches)})


def settle(run: Path, waiting: Callable[[str], None]) -> None:
    """Remove the claims of a run whose env.json now names its caches."""
    with deciding(waiting):
        store.remove(run / CLAIMS)


def claimed() -> set[str]:
    """Return the names of the caches that a run was, or is being, trained on."""
    runs, names = store.home() / "runs", set[str]()
    for run in [*_below(runs), *_below(runs / ANEW)]:
        # claims of a killed process stay on the disk, but its lock is free: they count no more
        if (run / CLAIMS).exists() and locks.is_busy(runs / run.name):
            names.update(_read(run / CLAIMS))
        if (run / "env.json").exists():
            names.update(run_files.read_result(run / "env.json", schemas.Environment)["caches"])
    return names


def _below(folder: Path) -> list[Path]:
    with suppress(OSError):  # not there, or removed meanwhile
        return sorted(folder.iterdir())
    return []


def _read(path: Path) -> list[str]:
    try:
        names = store.read_json(path)["caches"]
        if not all(isinstance(name, str) for name in names):
            raise TypeError
    except (KeyError, TypeError):
        raise DataError(f"{path} is damaged", "remove it when no avsnn runs") from None
    return list(names)
