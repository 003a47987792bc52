"""The arguments and options that several verbs share, each declared once."""

import re
from pathlib import Path
from typing import Annotated

import typer

from avsnn_cli import completion
from pipelines.disk.paths import user_path
from pipelines.errors import UsageError

RecipeName = Annotated[
    str,
    typer.Argument(
        metavar="RECIPE",
        help="Name of a bundled recipe, or a YAML file.",
        autocompletion=completion.recipes,
    ),
]
RunName = Annotated[
    str | None,
    typer.Argument(
        metavar="RUN",
        help="Name or folder of a run; without it, the run trained last.",
        autocompletion=completion.runs,
    ),
]
ComparedNames = Annotated[
    list[str],
    typer.Argument(
        metavar="RUN|SWEEP",
        help="Names of evaluated runs or of sweeps.",
        autocompletion=completion.compared,
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="A.B=VALUE", help="Change a setting of the recipe; can be repeated."
    ),
]
Device = Annotated[
    str | None,
    typer.Option("--device", metavar="auto|cpu|cuda[:N]", help="Device to compute on."),
]
From = Annotated[
    Path | None,
    typer.Option(
        "--from",
        parser=user_path,
        metavar="DIR",
        help="Take source files from this folder where it has them.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Write the result to stdout as JSON.")]
Force = Annotated[bool, typer.Option("--force", help="Replace a result that already exists.")]
ForceFile = Annotated[bool, typer.Option("--force", help="Replace a file that already exists.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Print what would be done, and do nothing.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors and results.")]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Print the firing rate of every layer too.")
]
Fresh = Annotated[
    bool, typer.Option("--fresh", help="Start again from the first epoch, and replace the run.")
]


def overrides(settings: list[str] | None, device: str | None) -> tuple[str, ...]:
    """Return the overrides of --set and --device, as recipe paths. Raises UsageError."""
    if device and not re.fullmatch(r"auto|cpu|cuda(:\d{1,3})?", device):
        raise UsageError(f"--device {device}: no such device", "write auto, cpu, cuda or cuda:N")
    return (*(settings or ()), *([f"runtime.device={device}"] if device else ()))
