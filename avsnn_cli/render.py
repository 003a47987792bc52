"""What people see (stderr) and what programs read (stdout)."""

import contextlib
import json
import shutil
import sys
import textwrap
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from avsnn_cli import screen
from pipelines.errors import AvsnnError, MachineError

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID
    from torch import Tensor

LOG_EVERY_S = 60.0
REDRAW_EVERY_S = 0.2
# characters; a narrower last column is left as it is
LEAST_COLUMN = 20


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

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Take the bar off the screen; keep in the run's log why it ended."""
        self._clear()
        if isinstance(error, AvsnnError):
            self._keep(f"error: {error.message}")
        elif isinstance(error, Exception):
            if self._keep("".join(traceback.format_exception(error))):
                error.add_note(f"the traceback is in {self.log}")
        elif error is not None:
            self._keep("stopped")

    def log_to(self, path: Path) -> None:
        """Append what is said from now on to this file as well."""
        self.log = path

    def _keep(self, text: str) -> bool:
        """Append to the log; a log that cannot be written does not stop a training."""
        if self.log is None:
            return False
        with contextlib.suppress(OSError):
            self.log.parent.mkdir(parents=True, exist_ok=True)
            with self.log.open("a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(f"{_now()} {text}\n")
            return True
        return False

    def say(self, text: str) -> None:
        """Say a line, and keep it in the run's log."""
        self._clear()
        self._keep(text)
        if not self.quiet:
            line = text if self._terminal else f"{_now()} {text}"
            with contextlib.suppress(OSError):  # nobody listens any more: the work goes on
                screen.write(line, sys.stderr)
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
                TextColumn("{task.description}", markup=False), BarColumn(),
                TextColumn("{task.completed}"), TextColumn("of {task.total}"),
                TimeRemainingColumn(),
            )  # fmt: skip
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self._bar.start()
        what = screen.one_line(what)
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


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S")


def emit(data: Any, as_json: bool, text: str = "", empty: str = "") -> None:
    """Write the result to stdout, JSON for programs, or text; where it is empty, say so to people.

    Raises MachineError where stdout cannot be written.
    """
    if as_json:
        only_ascii = screen.is_ascii(sys.stdout)
        text = json.dumps(data, indent=1, ensure_ascii=only_ascii, allow_nan=False)
    if not text:
        if empty:
            screen.write(empty, sys.stderr)
        return
    try:
        screen.write(text, sys.stdout)
    except BrokenPipeError:
        raise
    except OSError as error:
        screen.drop_unwritten()
        raise MachineError(f"cannot write the result: {error.strerror}") from error


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Lay rows out in aligned columns, header first.

    On a terminal the last column goes on below itself; in a pipe a row is a line.
    """
    if not rows:
        return ""
    names = list(rows[0])
    cells = [names, *([screen.one_line(str(row[name])) for name in names] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(names) - 1)]
    indent = sum(widths) + 2 * len(widths)
    room = shutil.get_terminal_size().columns - indent if sys.stdout.isatty() else 0
    lines = []
    for *first, last in cells:
        start = "".join(f"{cell:{width}}  " for cell, width in zip(first, widths, strict=True))
        folded = _folded(last, room)
        lines += [start + folded[0], *(" " * indent + more for more in folded[1:])]
    return "\n".join(line.rstrip() for line in lines)


def _folded(text: str, room: int) -> list[str]:
    if room < LEAST_COLUMN:
        return [text]
    lines = textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False)
    return lines or [""]


def megabytes(count: int | None) -> str:
    """Write a size in MB, or "unknown"."""
    return "unknown" if count is None else f"{count / 1e6:.1f} MB"


def percent(value: float) -> str:
    """Write a share as a percentage with two decimals."""
    return f"{value:.2%}"
