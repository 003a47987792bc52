"""Entry point: runs a verb, and turns its errors into one line, a hint and an exit code."""

import contextlib
import errno
import os
import signal
import sys
import time
import traceback
from types import FrameType
from typing import TYPE_CHECKING

from avsnn_cli import screen
from pipelines import device as machine
from pipelines import registry
from pipelines.disk import store
from pipelines.disk.look import one_look
from pipelines.errors import AvsnnError, MachineError, RecipeError, Terminated

if TYPE_CHECKING:
    import typer

OWN = ("avsnn_cli", "pipelines")
# what the user or the machine can mend; any other OSError is a bug of ours
MACHINE_ERRNOS = (
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EIO,
    errno.ENAMETOOLONG,
    errno.ELOOP,
)


def main() -> None:
    """Run the command line; the only place that turns errors into exit codes."""
    screen.open_streams()
    signal.signal(signal.SIGTERM, _terminate)
    # threads that spin while they wait starve each other when the machine is shared: a step took
    # up to ten times as long beside another job. Read when torch starts its threads.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        sys.exit(_run(sys.argv[1:]))
    except AvsnnError as error:
        sys.exit(_report(error))
    except KeyboardInterrupt:
        sys.exit(_stopped(130))
    except Terminated:
        sys.exit(_stopped(143))
    except BrokenPipeError:
        # the reader of a pipe has gone (avsnn ls | head); nothing is wrong
        screen.drop_unwritten()
        sys.exit(0)
    except Exception as error:
        screen.drop_unwritten()
        sys.exit(_usage(error) or _machine(error) or _bug(error))


def _run(arguments: list[str]) -> int:
    """Parse the command line and run its verb; return the exit code."""
    import typer

    from avsnn_cli import limits
    from avsnn_cli.app import app

    if "_AVSNN_COMPLETE" in os.environ:
        _complete(app)
    limits.watch()  # before anything imports numpy or torch
    # not app(): Typer's own handling swallows Ctrl-C and a closed pipe
    command = typer.main.get_command(app)
    try:
        with one_look(), command.make_context("avsnn", arguments) as context:
            command.invoke(context)
    except typer.Exit as end:
        return int(end.exit_code)
    finally:
        sys.stdout.flush()
    return 0


def _complete(app: "typer.Typer") -> None:
    """Answer a shell that completes a line; an error prints nothing into that line."""
    from avsnn_cli import completion

    completion.silent()
    try:
        app(prog_name="avsnn")
    except Exception:
        sys.exit(0)


def _terminate(_number: int, _frame: FrameType | None) -> None:
    raise Terminated


def _print(line: str) -> None:
    with contextlib.suppress(OSError):  # stderr is gone: the exit code remains
        screen.write(line, sys.stderr)


def _stopped(code: int) -> int:
    _print("stopped; the same command goes on from here")
    return code


def _report(error: AvsnnError) -> int:
    # a recipe's faults begin with their own file:line:col, for editors to jump to
    prefix = "" if isinstance(error, RecipeError) and "\n" in error.message else "error: "
    _print(f"{prefix}{error.message}")
    if error.hint:
        _print(f"hint:  {error.hint}")
    return error.exit_code


def _usage(error: Exception) -> int | None:
    """Report an error of the command line itself, such as an unknown option; return 2.

    Returns None for any other error. Typer's errors are known by what they have: importing their
    classes would import Typer for every error.
    """
    context, wording = getattr(error, "ctx", None), getattr(error, "format_message", None)
    if wording is None:
        return None
    text, hint = wording(), f"{context.command_path if context else 'avsnn'} --help"
    if type(error).__name__ == "NoArgsIsHelpError":
        _print(text)
        return 2
    option = getattr(error, "option_name", None)
    if type(error).__name__ == "NoSuchOption" and context:
        known = [name for parameter in context.command.params for name in parameter.opts]
        near = registry.closest(str(option), [name for name in known if name.startswith("--")])
        text = f"no such option {option}" + (f" ({near})" if near.startswith("did you") else "")
    _print(f"error: {text[:1].lower()}{text[1:]}")
    _print(f"hint:  {hint}")
    return 2


def _machine(error: Exception) -> int | None:
    """Report an error of the disk, the memory or a library; return 5, None for any other error."""
    if isinstance(error, ImportError) and (error.name or "").split(".")[0] not in OWN:
        # a module of ours that is missing is our bug; that of a library is the installation's
        first = str(error).split("\n")[0]
        return _report(MachineError(f"a library does not import: {first}", "avsnn doctor"))
    if machine.is_out_of_memory(error):
        hint = "a smaller train.batch_size, fewer runtime.num_workers, or a machine with more"
        return _report(
            MachineError(f"out of memory: {str(error)[:200] or 'no more to be had'}", hint)
        )
    if isinstance(error, OSError) and error.errno == errno.EBADF:  # help, where stdout is closed
        return _report(MachineError(f"cannot write the result: {error.strerror}"))
    if isinstance(error, OSError) and error.errno in MACHINE_ERRNOS:
        named = f"{error.filename}: " if error.filename else ""
        hint = "free some space, or point AVSNN_HOME to a folder that is writable"
        return _report(MachineError(f"{named}{error.strerror}", hint))
    return None


def _bug(error: Exception) -> int:
    """Report a bug and where its traceback is: in the run's log, else in the home's; return 1."""
    notes = [note for note in getattr(error, "__notes__", ()) if note.startswith("the traceback")]
    where = notes[0] if notes else _keep(error)
    _print(f"error: a bug in avsnn: {type(error).__name__}: {error}")
    _print(f"hint:  {where}; please report it")
    return 1


def _keep(error: Exception) -> str:
    """Append the traceback to run.log of the home; return where it is, or the text itself."""
    log = store.home() / "run.log"
    text = "".join(traceback.format_exception(error))
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(f"{time.strftime('%Y-%m-%dT%H:%M:%S')} {' '.join(sys.argv)}\n{text}\n")
    except OSError:
        return text
    return f"the traceback is in {log}"
