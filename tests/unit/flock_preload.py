"""File systems whose flock is missing or lets everybody in, as a library to preload."""

import shutil
import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_name("no_flock.c")


def compiler() -> str | None:
    """Return the C compiler of this machine, if it has one."""
    return shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")


def variables(folder: Path, *, lets_all_in: bool = False) -> dict[str, str]:
    """Return what a process there has in its environment; compiles the library into a folder."""
    found = compiler()
    assert found is not None, "no C compiler"
    library = folder / "no_flock.so"
    if not library.exists():
        command = [found, "-shared", "-fPIC", "-o", str(library), str(SOURCE)]
        subprocess.run(command, check=True)
    return {"LD_PRELOAD": str(library), **({"LETS_ALL_IN": "1"} if lets_all_in else {})}
