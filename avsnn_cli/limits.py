"""Memory limits of the shell, checked before a library loads that they would kill silently.

Under `ulimit -v` or `-d` numpy and torch end the process while they load, by a signal or with an
exit code of their own. So another process tries first whether they load.
"""

import resource
import subprocess
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder

from pipelines.errors import MachineError

# by name: the module that the other process imports, and the bytes that must be left after it
TRIED = {"numpy": ("numpy", 16 << 20), "torch": ("pipelines.training.loop", 128 << 20)}
OPTIONS = {"RLIMIT_AS": "-v", "RLIMIT_DATA": "-d"}


class _Guard(MetaPathFinder):
    """An import hook that Python asks before each module; it refuses some and loads none."""

    def find_spec(self, name: str, _path: Sequence[str] | None, _target: object = None) -> None:
        """Raise MachineError for a module that does not load under the limits."""
        if name in TRIED and not _loads(*TRIED[name]):
            limits = ", ".join(f"ulimit {option} {kib}" for option, kib in _limits().items())
            raise MachineError(
                f"out of memory: {name} does not load under the memory limit ({limits}, in KiB)",
                f"raise the limit, {' and '.join(f'ulimit {o} unlimited' for o in _limits())}, or "
                "ask the scheduler for more memory",
            )


def watch() -> None:
    """Check numpy and torch before they load, if memory is limited."""
    if _limits():
        sys.meta_path.insert(0, _Guard())


def _limits() -> dict[str, int]:
    """Return the limits that are set, in KiB, by the option of `ulimit`."""
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
