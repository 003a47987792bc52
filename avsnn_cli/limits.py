"""Memory limits of the shell: looked at before a library is loaded that dies of them without words.

Under `ulimit -v` or `-d` numpy and torch end the process while they load, by a signal or with an
exit code of their own. So whether they load is tried in another process first.
"""

import resource
import subprocess
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder

from pipelines.errors import MachineError

# what is loaded next, and how much must be left then; bytes
TRIED = {"numpy": ("numpy", 16 << 20), "torch": ("pipelines.training.loop", 128 << 20)}
OPTIONS = {"RLIMIT_AS": "-v", "RLIMIT_DATA": "-d"}


class _Guard(MetaPathFinder):
    """Is asked before a module is loaded for the first time, and leaves the loading to others."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: object = None) -> None:  # noqa: ARG002
        """Raise MachineError before a module is loaded that the limits leave no memory for."""
        if name in TRIED and not _loads(*TRIED[name]):
            said = ", ".join(f"ulimit {option} {kib}" for option, kib in _limits().items())
            raise MachineError(
                f"out of memory: {name} does not load under the memory limit ({said}, in KiB)",
                f"raise the limit, {' and '.join(f'ulimit {o} unlimited' for o in _limits())}, or "
                "ask the scheduler for more memory",
            )


def watch() -> None:
    """Try numpy and torch before they are loaded, where memory is limited."""
    if _limits():
        sys.meta_path.insert(0, _Guard())


def _limits() -> dict[str, int]:
    """Return the limits that are set, by the option of `ulimit`; KiB."""
    now = {
        option: resource.getrlimit(getattr(resource, name))[0] for name, option in OPTIONS.items()
    }
    return {o: limit >> 10 for o, limit in now.items() if limit != resource.RLIM_INFINITY}


def _loads(module: str, spare_bytes: int) -> bool:
    code = f"import sys; sys.path[:] = {sys.path!r}; import {module}; bytearray({spare_bytes})"
    try:
        return not subprocess.run(
            [sys.executable, "-c", code], capture_output=True, check=False
        ).returncode
    except OSError:
        return False
