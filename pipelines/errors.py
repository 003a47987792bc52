"""The errors that a user can cause or mend, each with its exit code.

Anything else that escapes is a bug of ours and exits with 1.
"""


class AvsnnError(Exception):
    """A failure that one line and one hint explain.

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
    """The machine cannot do it: device, disk, libraries."""

    exit_code = 5


class LockedError(AvsnnError):
    """Another process works on the same artefact."""

    exit_code = 6


class DivergedError(AvsnnError):
    """The loss of a training is no longer finite: the settings, not the program, are at fault."""

    exit_code = 7


class Terminated(BaseException):
    """SIGTERM arrived and the state has been saved; like KeyboardInterrupt, not an Exception."""

    exit_code = 143
