"""In which order runs were trained: a number that each takes from those before it, no clock."""

from pathlib import Path

from pipelines.disk import store
from pipelines.errors import DataError


def trained() -> list[Path]:
    """List the folders of the home's trained runs, the one trained last at the end.

    Runs of versions that wrote no number come first, by the time of their file.
    """
    files = [(_number(path), path) for path in _files()]
    return [path.parent for _, path in sorted(files, key=lambda one: (one[0], _time(one[1])))]


def following() -> int:
    """Return the number of the run that is trained next: one above all that are there."""
    return max(map(_number, _files()), default=0) + 1


def _files() -> list[Path]:
    return sorted((store.home() / "runs").glob("*/trained.json"))


def _number(path: Path) -> int:
    """Return the number of a run; 0 where none is readable, which whoever uses the run is told."""
    try:
        found = store.read_json(path)["order"]
    except (DataError, KeyError, TypeError):
        return 0
    return found if isinstance(found, int) else 0


def _time(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # removed meanwhile
        return 0.0
