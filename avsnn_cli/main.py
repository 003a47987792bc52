"""Entry point: runs a verb, and turns what it raises into one line, a hint and an exit code."""

import os
import signal
import sys
import time
import traceback
from types import FrameType

from pipelines import store
from pipelines.errors import AvsnnError, RecipeError, Terminated


def main() -> None:
    """Run the command line; the only place that turns errors into exit codes."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        from avsnn_cli.app import app

        code = app(standalone_mode=False)
        _leave(code if isinstance(code, int) else 0)
    except AvsnnError as error:
        _tell(error)
        _leave(error.exit_code)
    except (KeyboardInterrupt, Terminated) as stop:
        terminated = isinstance(stop, Terminated)
        print("stopped; the same command goes on from here", file=sys.stderr)
        _leave(143 if terminated else 130)
    except BrokenPipeError:
        # the reader of a pipe has gone (avsnn ls | head); nothing is wrong
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        _leave(0)
    except Exception as error:
        _leave(_usage_code(error) or _bug(error))


def _terminate(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    raise Terminated


def _tell(error: AvsnnError) -> None:
    # a recipe's faults begin with their own file:line:col, for editors to jump to
    prefix = "" if isinstance(error, RecipeError) and "\n" in error.message else "error: "
    print(f"{prefix}{error.message}", file=sys.stderr)
    if error.hint:
        print(f"hint:  {error.hint}", file=sys.stderr)


def _usage_code(error: Exception) -> int | None:
    """Show an error of the command line itself (unknown option, missing argument): 2."""
    show = getattr(error, "show", None)
    if show is None:
        return 1 if type(error).__name__ == "Abort" else None
    show()
    return int(getattr(error, "exit_code", 2))


def _bug(error: Exception) -> int:
    """Keep the traceback of what is our fault in run.log, and say where."""
    log = store.home() / "run.log"
    text = "".join(traceback.format_exception(error))
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8") as file:
            file.write(f"{time.strftime('%Y-%m-%dT%H:%M:%S')} {' '.join(sys.argv)}\n{text}\n")
        where = f"the traceback is in {log}"
    except OSError:
        where = text
    print(f"error: a bug in avsnn: {type(error).__name__}: {error}", file=sys.stderr)
    print(f"hint:  {where}; please report it", file=sys.stderr)
    return 1


def _leave(code: int) -> None:
    sys.stdout.flush()
    sys.exit(code)
