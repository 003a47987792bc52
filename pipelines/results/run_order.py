"""The order in which runs were trained: numbers, for a machine's clock may be set back."""

from pathlib import Path

from pipelines.disk import store
from pipelines.errors import DataError


def trained() -> list[Path]:
    """List the folders of the trained runs in the order of their training.

    Runs of versions that wrote no number come first, by the time of trained.json.
    """
    files = [(_number(path), path) for path in _files()]
    return [path.parent for _, path in sorted(files, key=lambda file: (file[0], _time(file[1])))]


def following() -> int:
    """Return the number of the next trained run: one above the highest so far."""
    return max(map(_number, _files()), default=0) + 1


def _files() -> list[Path]:
    return sorted((store.home() / "runs").glob("*/trained.json"))


def _number(path: Path) -> int:
    """Return the number of a run; 0 if there is none or it is not readable."""
    try:
        order = store.read_json(path)["order"]
    except (DataError, KeyError, TypeError):
        return 0  # no error here: one damaged run must not keep the others from being listed
    return order if isinstance(order, int) else 0


def _time(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # removed since it was listed
        return 0.0
