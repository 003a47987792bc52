"""`avsnn sweep`: many runs, on one device or on several at once."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from avsnn_cli.devices import run_on_each
from avsnn_cli.render import Reporter
from pipelines import device as machine
from pipelines.errors import AvsnnError
from pipelines.plan.plan import run_folder
from pipelines.runs import sweep

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
        run_on_each(devices)
    more = [f"runtime.device={devices[0]}"] if devices else []
    # after several devices there is little left to do but to say how it went
    rows = sweep.run(points, more, report, mirror=mirror, noise=noise)
    if all(row["run"] for row in rows):  # what was downloaded may have changed their keys
        sweep.record(points, name, [row["run"] for row in rows])
    if any(row["exit_code"] for row in rows):
        raise SweepFailedError(rows)
    return file
