"""Progress for people, on stderr, and results for programs, on stdout."""

import contextlib
import json
import sys
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from avsnn_cli import screen
from pipelines.errors import AvsnnError, MachineError

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID
    from torch import Tensor

LOG_EVERY_S = 60.0
REDRAW_EVERY_S = 0.2


class TerminalReporter:
    """Report progress on stderr: bars on a terminal, else at most a line a minute.

    quiet: only errors. verbose: every layer's firing rate at every epoch. Fulfils the protocol
    `pipelines.runs.reporter.Reporter`.
    """

    def __init__(self, *, quiet: bool = False, verbose: bool = False) -> None:
        self.quiet, self.verbose = quiet, verbose
        self.log: Path | None = None
        self._bar: Progress | None = None
        self._task: tuple[str, TaskID] | None = None
        self._last_line = time.monotonic()
        self._terminal = sys.stderr.isatty() and not quiet

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Remove the progress bar; write into the run's log why the work ended."""
        self._clear()
        if isinstance(error, AvsnnError):
            self._keep(f"error: {error.message}")
        elif isinstance(error, Exception):
            if self._keep("".join(traceback.format_exception(error))):
                error.add_note(f"the traceback is in {self.log}")
        elif error is not None:
            self._keep("stopped")

    def log_to(self, path: Path) -> None:
        """Append every later line to this file as well."""
        self.log = path

    def _keep(self, text: str) -> bool:
        """Append to the log; return whether it was written."""
        if self.log is None:
            return False
        # a full disk must not stop a training for the sake of its log
        with contextlib.suppress(OSError):
            self.log.parent.mkdir(parents=True, exist_ok=True)
            with self.log.open("a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(f"{_now()} {text}\n")
            return True
        return False

    def say(self, text: str) -> None:
        """Print a line on stderr, and append it to the run's log."""
        self._clear()
        self._keep(text)
        if not self.quiet:
            line = text if self._terminal else f"{_now()} {text}"
            with contextlib.suppress(OSError):  # the terminal is gone: the work goes on
                screen.write(line, sys.stderr)
        self._last_line = time.monotonic()

    def advance(self, what: str, done: int, total: int | None) -> None:
        """Show progress of something counted (clips, bytes, noise levels)."""
        if self._terminal:
            self._draw(what, done, total)
        elif time.monotonic() - self._last_line > LOG_EVERY_S:
            self.say(f"{what}: {done} of {total if total is not None else 'unknown'}")

    def step(self, epoch: int, step: int, steps: int, loss: "Tensor") -> None:
        """Show a training step, at most once in a while."""
        pause = REDRAW_EVERY_S if self._terminal else LOG_EVERY_S
        if not self.quiet and time.monotonic() - self._last_line > pause:
            what = f"epoch {epoch + 1}"
            # float(loss) waits for the GPU, so it stands where a step is shown and nowhere else
            if self._terminal:
                self._draw(f"{what}, loss {float(loss):.4f}", step, steps)
                self._last_line = time.monotonic()
            else:
                self.say(f"{what}, step {step} of {steps}, loss {float(loss):.4f}")

    def epoch(self, record: dict[str, Any]) -> None:
        """Report an epoch, with the fusion branch's firing rate where there is one."""
        # the branch that S-CMRL adds: when it falls silent, fusion has stopped
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
                TextColumn("{task.description}", markup=False),  # a name may hold [bold]
                BarColumn(),
                TextColumn("{task.completed}"),
                TextColumn("of {task.total}"),
                TimeRemainingColumn(),
            )
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self._bar.start()
        what = screen.one_line(what)
        # "epoch 3, loss 0.51": the part before the comma tells one bar from the next
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
    """Write the result to stdout, as JSON or as text.

    empty: printed on stderr where there is no text. Raises MachineError where stdout cannot be
    written.
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
    except BrokenPipeError:  # `avsnn ls | head`: main ends with 0
        raise
    except OSError as error:
        screen.drop_unwritten()
        raise MachineError(f"cannot write the result: {error.strerror}") from error
