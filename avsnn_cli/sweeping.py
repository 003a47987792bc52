"""`avsnn sweep`: many runs, on one device or on several at once."""

from collections.abc import Sequence
from pathlib import Path

from avsnn_cli.devices import run_on_each
from avsnn_cli.layout import TableRows
from pipelines import device as machine
from pipelines.errors import AvsnnError
from pipelines.plan.plan import run_folder
from pipelines.runs import sweep
from pipelines.runs.reporter import Reporter


class SweepFailedError(AvsnnError):
    """Some runs of a sweep failed; the exit code is that of the first of them."""

    def __init__(self, rows: TableRows) -> None:
        failed = [row for row in rows if row["exit_code"]]
        lines = [f"{row['run']}: {row['state']}" for row in failed]
        message = "\n".join([f"{len(failed)} of {len(rows)} runs are not done:", *lines])
        super().__init__(message, "the same command goes on from here")
        self.exit_code = failed[0]["exit_code"]


def planned(points: Sequence[sweep.Point], name: str | None) -> TableRows:
    """Return each run of a sweep with its state: evaluated, trained or to do.

    Raises UsageError for a name that `run` would refuse.
    """
    sweep.place(points, name)
    rows = []
    for point in points:
        run = run_folder(sweep.opened(point))
        settings = " ".join((point.recipe, *point.overrides))
        rows.append({"run": run.name, "state": _state(run), "settings": settings})
    return rows


def _state(run: Path) -> str:
    if (run / "eval.json").exists():
        return "evaluated"
    return "trained" if (run / "trained.json").exists() else "to do"


def run(
    points: Sequence[sweep.Point],
    device: str | None,
    report: Reporter,
    mirror: Path | None,
    *,
    noise: bool,
    name: str | None = None,
) -> Path:
    """Run a sweep on one device, or on several at once; return its file.

    device: names with commas between them. name: the sweep's; None makes one. Raises MachineError
    for a device that does not exist, before anything starts, and SweepFailedError if a run failed.
    """
    devices = [device_name for device_name in (device or "").split(",") if device_name]
    for device_name in devices:
        machine.choose(device_name)
    # written first: an interrupted sweep can already be named
    file = sweep.record(points, name)
    if len(devices) > 1:
        run_on_each(devices)
    more = [f"runtime.device={devices[0]}"] if devices else []
    # after several devices every run is a hit here, unless it failed there: this collects the rows
    rows = sweep.run(points, more, report, mirror=mirror, noise=noise)
    if all(row["run"] for row in rows):  # what was downloaded may have changed their keys
        sweep.record(points, name, [row["run"] for row in rows])
    if any(row["exit_code"] for row in rows):
        raise SweepFailedError(rows)
    return file
