"""`avsnn compare` and `report`: runs and sweeps by name, in one table or page."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from avsnn_cli.comparison_tables import cells, notes
from avsnn_cli.render import Reporter
from pipelines.disk import store
from pipelines.disk.paths import check_target, is_file
from pipelines.errors import DataError, UsageError
from pipelines.reports import compare as comparing
from pipelines.runs import sweep
from pipelines.runs.open_run import open_run

Rows = list[dict[str, Any]]


def compare(names: Sequence[str]) -> Rows:
    """Compare runs and sweeps, given by name; runs of a sweep that are not evaluated are left out.

    Raises DataError if none is left.
    """
    folders = [
        folder for folder, of_sweep in _folders(names).items()
        if not of_sweep or _is_evaluated(folder)
    ]  # fmt: skip
    if not folders:
        raise DataError("none of these runs is evaluated", "avsnn sweep goes on with them")
    return comparing.compare([comparing.read(folder) for folder in folders])


def _folders(names: Sequence[str]) -> dict[Path, bool]:
    """Return the folders of runs and sweeps, given by name, and whether a sweep has named them."""
    found: dict[Path, bool] = {}
    for name in names:
        swept = _swept(name)
        run = open_run(name)[1] if swept is None else None
        if run is not None:
            found.setdefault(run, False)
        found |= {folder: True for folder in swept or () if folder not in found}
    return found


def _swept(name: str) -> list[Path] | None:
    """Return the runs of a sweep; None where the name is a run's, or nobody's."""
    if is_file(Path(name) / "recipe.yaml"):
        return None
    return sweep.runs_of(name)


def _is_evaluated(folder: Path) -> bool:
    return (folder / "eval.json").exists()


def report(
    names: Sequence[str], output: Path | None, reporter: Reporter, *, force: bool = False
) -> dict[str, Any]:
    """Write runs and sweeps into one HTML file; returns its path and what is in it.

    output: None takes the names, under `reports` of the home folder. Runs that are not evaluated
    are left out, and said. Raises DataError if none is left, UsageError for a file that is there
    and is no report, unless force.
    """
    from pipelines.reports.html_page import is_ours
    from pipelines.reports.report import page

    folders = sorted({folder.resolve() for folder in _folders(names)}, key=lambda f: (f.name, f))
    file = output or store.home() / "reports" / f"{_report_name(names)}.html"
    if file.is_dir():
        raise UsageError(f"--output {file}: is a folder", f"--output {file / 'report.html'}")
    check_target(file, store.home(), force=force, ours=is_ours)
    left_out = [folder.name for folder in folders if not _is_evaluated(folder)]
    results = {folder: comparing.read(folder) for folder in folders if _is_evaluated(folder)}
    if not results:
        raise DataError(f"not evaluated: {', '.join(left_out)}", comparing.HINT)
    for name in left_out:
        reporter.say(f"report: {name} is left out, it is not evaluated")
    rows = comparing.compare(list(results.values()))
    text = page(results, rows, cells(rows), notes(rows), left_out, reporter.advance)
    store.publish_text(file, text)
    return {"report": str(file), "systems": [row["system"] for row in rows],
            "runs": [folder.name for folder in results], "left_out": left_out}  # fmt: skip


def _report_name(names: Sequence[str]) -> str:
    stems = [Path(name).resolve().name.removesuffix(".json") for name in names]
    name = "+".join(dict.fromkeys(stems))
    # a file's name has at most 255 bytes
    short = len(os.fsencode(name)) <= 100
    return name if short else f"{stems[0][:40]}+{store.key({'report': stems})}"
