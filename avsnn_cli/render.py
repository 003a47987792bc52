"""What people see (stderr) and what programs read (stdout)."""

import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID
    from torch import Tensor

LOG_EVERY_S = 60.0
REDRAW_EVERY_S = 0.2


class Reporter:
    """Tells people on stderr: progress bars on a terminal, else at most a line a minute.

    quiet: only errors. verbose: every layer's firing rate at every epoch.
    """

    def __init__(self, *, quiet: bool = False, verbose: bool = False) -> None:
        self.quiet, self.verbose = quiet, verbose
        self.log: Path | None = None
        self._bar: Progress | None = None
        self._task: tuple[str, TaskID] | None = None
        self._told = time.monotonic()
        self._terminal = sys.stderr.isatty() and not quiet

    def say(self, text: str) -> None:
        """Say a line, and keep it in the run's log."""
        self._clear()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S")
        if self.log is not None:
            with self.log.open("a", encoding="utf-8") as file:
                file.write(f"{stamp} {text}\n")
        if not self.quiet:
            line = text if self._terminal else f"{stamp} {text}"
            print(line, file=sys.stderr, flush=True)
        self._told = time.monotonic()

    def advance(self, what: str, done: int, total: int | None) -> None:
        """Show progress of something counted (clips, bytes, noise levels)."""
        if self._terminal:
            self._draw(what, done, total)
        elif time.monotonic() - self._told > LOG_EVERY_S:
            self.say(f"{what}: {done} of {total if total is not None else 'unknown'}")

    def step(self, epoch: int, step: int, steps: int, loss: "Tensor") -> None:
        """Show a training step; the loss is read, which waits for a GPU, only when shown."""
        pause = REDRAW_EVERY_S if self._terminal else LOG_EVERY_S
        if not self.quiet and time.monotonic() - self._told > pause:
            what = f"epoch {epoch + 1}"
            if self._terminal:
                self._draw(f"{what}, loss {float(loss):.4f}", step, steps)
                self._told = time.monotonic()
            else:
                self.say(f"{what}, step {step} of {steps}, loss {float(loss):.4f}")

    def epoch(self, record: dict[str, Any]) -> None:
        """Say how an epoch ended, with the fusion branch's firing rate where there is one."""
        fusion = [r for n, r in record["firing_rates"].items() if n.endswith(".residual")]
        branch = f", fusion {sum(fusion) / len(fusion):.1%} active" if fusion else ""
        self.say(
            f"epoch {record['epoch']}: loss {record['train_loss']:.4f}, validation "
            f"{record['validation_accuracy']:.2%}{branch}, {record['seconds']:.1f} s"
        )
        if self.verbose:
            for name, rate in record["firing_rates"].items():
                self.say(f"  {name}: {rate:.2%} firing")

    def _draw(self, what: str, done: int, total: int | None) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        if self._bar is None:
            columns = (
                TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}"),
                TextColumn("of {task.total}"), TimeRemainingColumn(),
            )  # fmt: skip
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self._bar.start()
        label = what.split(",")[0]
        if self._task is None or self._task[0] != label:
            if self._task is not None:
                self._bar.remove_task(self._task[1])
            self._task = (label, self._bar.add_task(what, total=total))
        self._bar.update(self._task[1], description=what, completed=done, total=total)

    def _clear(self) -> None:
        if self._bar is not None:
            self._bar.stop()
        self._bar, self._task = None, None

    def close(self) -> None:
        """Take the progress bar off the screen."""
        self._clear()


def emit(data: Any, as_json: bool, text: str = "") -> None:
    """Write the result to stdout: JSON for programs, or text."""
    if as_json:
        print(json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False))
    elif text:
        print(text)


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Lay rows out in aligned columns, header first; wide last columns are not cut."""
    if not rows:
        return ""
    names = list(rows[0])
    cells = [names, *([str(row[name]) for name in names] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(names))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    )


def megabytes(count: int | None) -> str:
    """Write a size in MB, or "unknown"."""
    return "unknown" if count is None else f"{count / 1e6:.1f} MB"


def percent(value: float) -> str:
    """Write a share as a percentage with two decimals."""
    return f"{value:.2%}"
