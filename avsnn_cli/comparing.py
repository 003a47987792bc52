"""`avsnn compare` and `report`: runs and sweeps by name, in one table or page."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from avsnn_cli.comparison_tables import cells, notes
from avsnn_cli.layout import TableRows
from pipelines.disk import store
from pipelines.disk.paths import check_target, is_file
from pipelines.errors import DataError, UsageError
from pipelines.reports import compare as comparison
from pipelines.runs import sweep
from pipelines.runs.open_run import open_run
from pipelines.runs.reporter import Reporter

# bytes of a report's name that are its runs' names; a file's name has at most 255 bytes
LONGEST_NAME = 100
CUT_NAME = 40


def compare(names: Sequence[str]) -> TableRows:
    """Compare runs and sweeps by name; runs of a sweep that are not evaluated are left out.

    Raises DataError if none is left, and for a run named by itself that is not evaluated.
    """
    folders = [
        folder
        for folder, of_sweep in _folders(names).items()
        if not of_sweep or _is_evaluated(folder)
    ]
    if not folders:
        raise DataError("none of these runs is evaluated", "avsnn sweep goes on with them")
    return comparison.compare([comparison.read_run(folder) for folder in folders])


def _folders(names: Sequence[str]) -> dict[Path, bool]:
    """Return the folders of runs and sweeps, and of each whether only a sweep names it."""
    folders: dict[Path, bool] = {}
    for name in names:
        of_sweep = _runs_of_sweep(name)
        # a run named by itself is refused later where it is not evaluated; a sweep's is left out
        run = open_run(name)[1] if of_sweep is None else None
        if run is not None:
            folders.setdefault(run, False)
        folders |= {folder: True for folder in of_sweep or () if folder not in folders}
    return folders


def _runs_of_sweep(name: str) -> list[Path] | None:
    """Return the folders of a sweep's runs; None where the name is no sweep's."""
    if is_file(Path(name) / "recipe.yaml"):  # the folder of a run
        return None
    return sweep.runs_of(name)


def _is_evaluated(folder: Path) -> bool:
    return (folder / "eval.json").exists()


def report(
    names: Sequence[str], output: Path | None, reporter: Reporter, *, force: bool = False
) -> dict[str, Any]:
    """Write runs and sweeps into one HTML file; return its path and what it contains.

    output: None takes the names, under `reports` of the home folder. Runs that are not evaluated
    are left out and reported. Raises DataError if none is left, UsageError for a file that exists
    and is not a report of avsnn, unless force.
    """
    from pipelines.reports.html_page import is_ours
    from pipelines.reports.report import page

    # sorted, so that the same runs give the same bytes in whatever order they are named
    folders = sorted({folder.resolve() for folder in _folders(names)}, key=lambda f: (f.name, f))
    file = output or store.home() / "reports" / f"{_report_name(names)}.html"
    if file.is_dir():
        raise UsageError(f"--output {file}: is a folder", f"--output {file / 'report.html'}")
    # before the work: what is there may be somebody's thesis
    check_target(file, store.home(), force=force, ours=is_ours)
    left_out = [folder.name for folder in folders if not _is_evaluated(folder)]
    results = {folder: comparison.read_run(folder) for folder in folders if _is_evaluated(folder)}
    if not results:
        raise DataError(f"not evaluated: {', '.join(left_out)}", comparison.EVALUATE)
    for name in left_out:
        reporter.say(f"report: {name} is left out, it is not evaluated")
    rows = comparison.compare(list(results.values()))
    text = page(results, rows, cells(rows), notes(rows), left_out, reporter.advance)
    store.publish_text(file, text)
    return {
        "report": str(file),
        "systems": [row["system"] for row in rows],
        "runs": [folder.name for folder in results],
        "left_out": left_out,
    }


def _report_name(names: Sequence[str]) -> str:
    stems = [Path(name).resolve().name.removesuffix(".json") for name in names]
    name = "+".join(dict.fromkeys(stems))
    if len(os.fsencode(name)) <= LONGEST_NAME:
        return name
    return f"{stems[0][:CUT_NAME]}+{store.key({'report': stems})}"
