"""`avsnn sweep`, `compare` and `report`: many runs, and one table or page of them."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from avsnn_cli.formats import laid_out
from avsnn_cli.render import Reporter
from pipelines import device as machine
from pipelines.disk import store
from pipelines.disk.paths import check_target, is_file
from pipelines.errors import AvsnnError, DataError, UsageError
from pipelines.plan.plan import run_folder
from pipelines.reports import compare as comparing
from pipelines.runs import sweep
from pipelines.runs.open_run import open_run

SAVING_S = 30  # what a process has to save its state when it is stopped
DOA_COLUMNS = (
    ("MAE °", "mae_deg", 1, 2), ("< 2.5° %", "below_2_5_deg", 100, 1),
    ("≤ 5° %", "up_to_5_deg", 100, 1),
)  # fmt: skip
Rows = list[dict[str, Any]]


class SweepFailedError(AvsnnError):
    """Some runs of a sweep did not end well; exits as the first of them would have."""

    def __init__(self, rows: Rows) -> None:
        failed = [row for row in rows if row["exit_code"]]
        lines = [f"{row['run']}: {row['state']}" for row in failed]
        super().__init__("\n".join([f"{len(failed)} of {len(rows)} runs are not done:", *lines]),
                         "the same command goes on from here")  # fmt: skip
        self.exit_code = failed[0]["exit_code"]
        self.found = rows


def grid(names: Sequence[str], settings: Sequence[str], seeds: int | None) -> list[sweep.Point]:
    """List the runs of a sweep."""
    return sweep.grid(names, settings, seeds)


def planned(points: Sequence[sweep.Point], name: str | None) -> Rows:
    """Say of each run of a sweep whether it is trained and evaluated; refuse a name as `run`."""
    sweep.place(points, name)
    rows = []
    for point in points:
        run = run_folder(sweep.opened(point))
        state = "evaluated" if (run / "eval.json").exists() else (
            "trained" if (run / "trained.json").exists() else "to do")  # fmt: skip
        rows.append({"run": run.name, "state": state,
                     "settings": " ".join((point.recipe, *point.overrides))})  # fmt: skip
    return rows


def run(
    points: Sequence[sweep.Point], device: str | None, report: Reporter, mirror: Path | None,
    *, noise: bool, name: str | None = None,
) -> Path:  # fmt: skip
    """Do a sweep on one device, or on several at once; returns its file.

    name: what it is called. Raises MachineError, before anything starts, for a device that is not
    there, and SweepFailedError if a run failed.
    """
    devices = [name for name in (device or "").split(",") if name]
    for one in devices:
        machine.choose(one)
    file = sweep.record(points, name)
    if len(devices) > 1:
        _on_each(devices)
    more = [f"runtime.device={devices[0]}"] if devices else []
    # after several devices there is little left to do but to say how it went
    rows = sweep.run(points, more, report, mirror=mirror, noise=noise)
    if all(row["run"] for row in rows):  # what was downloaded may have changed their keys
        sweep.record(points, name, [row["run"] for row in rows])
    if any(row["exit_code"] for row in rows):
        raise SweepFailedError(rows)
    return file


def _on_each(devices: Sequence[str]) -> None:
    """Run this very command once a device; the runs' locks share the work out among them."""
    arguments: list[str] = []
    for word in sys.argv[1:]:
        if arguments and arguments[-1] == "--device":
            arguments.pop()
        elif not word.startswith("--device="):
            arguments.append(word)
    started: list[subprocess.Popen[bytes]] = []
    try:
        for device in devices:
            command = [sys.executable, "-m", "avsnn_cli", *arguments, "--device", device]
            started.append(subprocess.Popen(command, stdout=subprocess.DEVNULL))
        for process in started:
            process.wait()
    finally:
        _stop(started)


def _stop(started: Sequence["subprocess.Popen[bytes]"]) -> None:
    """Let processes save their state and end; what has not ended in time is killed."""
    running = [process for process in started if process.poll() is None]
    for process in running:
        process.terminate()
    end = time.monotonic() + SAVING_S
    try:
        for process in running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0, end - time.monotonic()))
    finally:  # a second Ctrl-C does not wait for them
        for process in running:
            if process.poll() is None:
                process.kill()
                process.wait()


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
    text = page(results, rows, _filled(rows), _notes(rows), left_out, reporter.advance)
    store.publish_text(file, text)
    return {"report": str(file), "systems": [row["system"] for row in rows],
            "runs": [folder.name for folder in results], "left_out": left_out}  # fmt: skip


def _report_name(names: Sequence[str]) -> str:
    stems = [Path(name).resolve().name.removesuffix(".json") for name in names]
    name = "+".join(dict.fromkeys(stems))
    # a file's name has at most 255 bytes
    short = len(os.fsencode(name)) <= 100
    return name if short else f"{stems[0][:40]}+{store.key({'report': stems})}"


def as_text(rows: Rows, style: str) -> str:
    """Lay a comparison out. style: of formats.FORMATS. Raises UsageError for another."""
    return laid_out(_filled(rows), _notes(rows), style)


def _filled(rows: Rows) -> list[dict[str, str]]:
    """Return the cells by column, the same columns in every row, none of them empty."""
    cells = [_cells(row) for row in rows]
    columns = dict.fromkeys(name for row in cells for name in row)
    filled = [name for name in columns if any(row.get(name) for row in cells)]
    return [{name: row.get(name, "") for name in filled} for row in cells]


def _cells(row: dict[str, Any]) -> dict[str, str]:
    levels = {name: _spread(found["mean"], found["sd"]) for name, found in row["noise"].items()}
    doa = {
        name: f"{scale * row['doa'][key]['mean']:.{digits}f}"
        for name, key, scale, digits in DOA_COLUMNS if row["doa"]
    }  # fmt: skip
    said = row["published"]
    impossible = " (no k/n gives it)" if said and said["possible"] is False else ""
    return {
        "system": row["system"],
        "accuracy %": _spread(row["accuracy"], row["sd"]),
        "seeds": str(len(row["seeds"])),
        "n": str(row["n"]),
        "p against best": "" if row["mcnemar_p"] is None else f"{row['mcnemar_p']:.2g}",
        "paper %": f"{said['accuracy_percent']:g}{impossible}" if said else "",
        **doa,
        **levels,
    }


def _spread(mean: float, sd: float | None) -> str:
    return f"{100 * mean:.2f}" + ("" if sd is None else f" ± {100 * sd:.2f}")


def _notes(rows: Rows) -> list[str]:
    """Say what the numbers rest on: once for all rows, and of the paper's for each."""
    found = dict.fromkeys(
        f"{row['dataset']} ({row['protocol']}), test n = {row['n']}, {row['selection']}, "
        f"seeds {', '.join(map(str, row['seeds']))}" for row in rows
    )  # fmt: skip
    notes = list(found)
    if any(row["sd"] is not None for row in rows):
        notes.append("mean ± sd over seeds")
    if any(row["mcnemar_p"] is not None for row in rows):
        notes.append("p: McNemar's exact test on the same clips, the largest over the seeds")
    for row in rows:
        if said := row["published"]:
            notes.append(f"{row['system']}: {said['accuracy_percent']:g} % in {said['source']}, "
                         f"{said['protocol']}")  # fmt: skip
    return notes


def listed() -> Rows:
    """List the sweeps there are."""
    return [
        {"sweep": path.stem, "runs": len(store.read_json(path)["runs"])}
        for path in sorted((store.home() / "sweeps").glob("*.json"))
    ]
