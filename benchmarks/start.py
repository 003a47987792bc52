"""Measure the start-up of the command line, as whole processes."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from interleaved import interleaved


def measure_start(device: torch.device, rounds: int) -> dict[str, Any]:  # noqa: ARG001
    """Time `avsnn --help` and `avsnn ls recipes` against an interpreter that does nothing."""
    avsnn = str(Path(sys.executable).parent / "avsnn")

    def process(*arguments: str) -> Any:
        return lambda: subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL)

    return interleaved(
        {
            "python -c pass": process(sys.executable, "-c", "pass"),
            "import torch": process(sys.executable, "-c", "import torch"),
            "avsnn --help": process(avsnn, "--help"),
            "avsnn ls recipes": process(avsnn, "ls", "recipes"),
        },
        rounds,
        "python -c pass",
    )
