"""The verbs of many runs: sweep, compare, report."""

from pathlib import Path
from typing import Annotated

import typer

from avsnn_cli import completion
from avsnn_cli.layout import table
from avsnn_cli.options import ComparedNames, DryRun, ForceFile, From, Json, Quiet, overrides
from avsnn_cli.render import TerminalReporter, emit
from pipelines.disk.paths import user_path


def sweep(
    recipe: Annotated[
        list[str],
        typer.Argument(
            metavar="RECIPE",
            help="Names of bundled recipes, or YAML files.",
            autocompletion=completion.recipes,
        ),
    ],
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="A.B=V1,V2,...",
            help="Values of a setting to try; all combinations are run.",
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(
            min=1, max=1000, metavar="N", help="Number of seeds, starting at the recipe's."
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(metavar="DEVICE[,...]", help="Devices that share the runs among them."),
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name of the sweep, for compare and report.")
    ] = None,
    from_: From = None,
    no_noise: Annotated[
        bool, typer.Option("--no-noise", help="Measure no accuracy under noise.")
    ] = False,
    dry_run: DryRun = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Train and evaluate recipes over settings and seeds."""
    from avsnn_cli import comparing, sweeping
    from avsnn_cli.comparison_tables import as_text
    from pipelines.runs.sweep import grid

    for device_name in (device or "").split(","):
        overrides(None, device_name)  # refuses a name that is no device's, before anything starts
    points = grid(recipe, set_ or (), seeds)
    if dry_run:
        rows = sweeping.planned(points, name)
        return emit(rows, json, table(rows))
    with TerminalReporter(quiet=quiet) as reporter:
        file = sweeping.run(points, device, reporter, from_, noise=not no_noise, name=name)
    rows = comparing.compare([str(file)])
    text = as_text(rows, "table")
    return emit({"sweep": file.stem, "rows": rows}, json, f"{text}\n\navsnn compare {file.stem}")


def compare(
    runs: ComparedNames,
    style: Annotated[
        str,
        typer.Option("--format", metavar="table|markdown|latex|csv", help="Format of the table."),
    ] = "table",
    json: Json = False,
) -> None:
    """Compare runs in one table, beside the papers' figures."""
    from avsnn_cli import comparing
    from avsnn_cli.comparison_tables import as_text

    rows = comparing.compare(runs)
    emit(rows, json, as_text(rows, style))


def report(
    runs: ComparedNames,
    output: Annotated[
        Path | None,
        typer.Option(
            parser=user_path,
            metavar="FILE",
            help="File to write; without it, one in reports/ of the home folder.",
        ),
    ] = None,
    force: ForceFile = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Write runs and their pictures into one HTML file."""
    from avsnn_cli import comparing

    with TerminalReporter(quiet=quiet) as reporter:
        result = comparing.report(runs, output, reporter, force=force)
    emit(result, json, result["report"])
