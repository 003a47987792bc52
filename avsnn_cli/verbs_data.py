"""The verbs of data and of the disk: download, prepare, doctor, cache."""

from typing import Annotated

import typer

from avsnn_cli import completion
from avsnn_cli.layout import table
from avsnn_cli.options import Device, DryRun, Force, From, Json, Quiet, Set, overrides
from avsnn_cli.render import TerminalReporter, emit


def download(
    dataset: Annotated[
        str,
        typer.Argument(
            metavar="DATASET", help="Name of a data set.", autocompletion=completion.datasets
        ),
    ],
    check: Annotated[
        bool,
        typer.Option("--check", help="Verify the files on the disk, and download nothing."),
    ] = False,
    from_: From = None,
    dry_run: DryRun = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Download and verify the source files of a data set."""
    from avsnn_cli import data

    with TerminalReporter(quiet=quiet) as reporter:
        result = data.download(dataset, from_, reporter, check=check, dry_run=dry_run)
    emit(result, json, result["folder"])


def prepare(
    what: Annotated[
        str,
        typer.Argument(
            metavar="DATASET|RECIPE",
            help="Name of a recipe, or of a data set to prepare for all its recipes.",
            autocompletion=completion.prepared,
        ),
    ],
    set_: Set = None,
    device: Device = None,
    from_: From = None,
    dry_run: DryRun = False,
    force: Force = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Build the clips and feature caches of a recipe or data set."""
    from avsnn_cli import data

    settings = overrides(set_, device)
    with TerminalReporter(quiet=quiet) as reporter:
        rows = data.prepare(what, settings, from_, reporter, dry_run=dry_run, force=force)
    emit(rows, json, table(rows) if dry_run else "")


def doctor(json: Json = False) -> None:
    """Check the environment, and print a fix for each problem."""
    from avsnn_cli import health

    findings = health.findings()
    emit(findings, json, health.as_text(findings))
    health.raise_if_broken(findings)


def cache_ls(json: Json = False) -> None:
    """List the feature caches with their sizes."""
    from pipelines.cache import housekeeping

    rows = housekeeping.caches()
    emit(rows, json, table(rows), "no caches yet")


def cache_verify(json: Json = False) -> None:
    """Check every cache file against the hash in its receipt."""
    from pipelines.cache import housekeeping

    rows = housekeeping.verify()
    # the table comes first: the error names the damage, the table what is whole
    emit(rows, json, table(rows), "no caches yet")
    housekeeping.raise_if_damaged(rows)


def cache_prune(
    unused: Annotated[
        bool,
        typer.Option("--unused", help="Also remove whole caches that no run was trained on."),
    ] = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Remove unfinished caches and leftovers of killed processes."""
    from pipelines.cache.prune import prune

    with TerminalReporter(quiet=False) as reporter:
        rows = prune(unused=unused, dry_run=dry_run, say=reporter.say)
    emit(rows, json, table(rows), "nothing to remove")
