"""The options that several verbs share, each declared once."""

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
        metavar="RECIPE", help="A YAML file or a bundled name.", autocompletion=completion.recipes
    ),
]
RunName = Annotated[
    str | None,
    typer.Argument(
        metavar="RUN", help="A run's folder or name; else the last one.",
        autocompletion=completion.runs,
    ),
]  # fmt: skip
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="A.B=VALUE", help="Change a setting; may be repeated."),
]
Device = Annotated[
    str | None, typer.Option("--device", metavar="auto|cpu|cuda[:N]", help="Where to compute.")
]
From = Annotated[
    Path | None,
    typer.Option("--from", parser=user_path, metavar="DIR", help="Take sources from this folder."),
]
Json = Annotated[bool, typer.Option("--json", help="Write the result to stdout as JSON.")]
Force = Annotated[bool, typer.Option("--force", help="Do it again even if the result is there.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say more.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Throw the run away and start over.")]


def overrides(settings: list[str] | None, device: str | None) -> tuple[str, ...]:
    """Return the overrides of --set and --device, as recipe paths. Raises UsageError."""
    if device and not re.fullmatch(r"auto|cpu|cuda(:\d{1,3})?", device):
        raise UsageError(f"--device {device}: no such device", "write auto, cpu, cuda or cuda:N")
    return (*(settings or ()), *([f"runtime.device={device}"] if device else ()))
