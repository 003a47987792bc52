"""Which caches runs lay claim to: from before they are built, for as long as the run is there.

A run writes down what it was trained on once its caches are whole. Until then claims.json, beside
its lock that is held, says what is being built for it.
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
    """Hold what a run needs to lay claim to caches, and who removes them to look for claims."""
    path = store.home() / "cache" / "claims"
    with store.lock(path, what="with claims on caches", waiting=waiting):
        yield


def lay(run: Path, caches: Iterable[str], waiting: Callable[[str], None]) -> None:
    """Write down which caches a run will be trained on; call with its lock held."""
    with deciding(waiting):
        store.publish_json(run / CLAIMS, {"caches": sorted(caches)})


def settle(run: Path, waiting: Callable[[str], None]) -> None:
    """Remove the claims of a run whose env.json names its caches by now."""
    with deciding(waiting):
        store.remove(run / CLAIMS)


def claimed() -> set[str]:
    """Return the names of the caches that a run was, or is being, trained on."""
    runs, found = store.home() / "runs", set[str]()
    for run in [*_below(runs), *_below(runs / ANEW)]:
        # a run that ended before it was trained needs nothing
        if (run / CLAIMS).exists() and locks.is_busy(runs / run.name):
            found.update(_read(run / CLAIMS))
        if (run / "env.json").exists():
            found.update(run_files.read(run / "env.json", schemas.Environment)["caches"])
    return found


def _below(folder: Path) -> list[Path]:
    with suppress(OSError):
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
