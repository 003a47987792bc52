"""The errors that a user can cause or repair, each with its exit code.

Any other exception that escapes is a bug of avsnn and exits with 1.
"""


class AvsnnError(Exception):
    """An error that one line and one hint explain.

    message: what went wrong and where. hint: what to do about it, often a command.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(AvsnnError):
    """The command line asks for something that does not exist or does not fit."""

    exit_code = 2


class RecipeError(AvsnnError):
    """A recipe is not valid; the message lists every fault, one line each."""

    exit_code = 3


class DataError(AvsnnError):
    """Data is missing, corrupt, or needs a manual step."""

    exit_code = 4


class MachineError(AvsnnError):
    """The machine does not suffice: its device, memory, disk or libraries."""

    exit_code = 5


class LockedError(AvsnnError):
    """Another process holds the lock of the same artefact."""

    exit_code = 6


class DivergedError(AvsnnError):
    """The loss of a training is no longer finite, because of its settings."""

    exit_code = 7


class Terminated(BaseException):
    """SIGTERM arrived and the state is saved; like KeyboardInterrupt, not an Exception."""

    exit_code = 143  # 128 + 15, as a shell reports a process that SIGTERM ended
