"""The verbs. Each reads its arguments, calls one stage, and writes the result."""

from typing import Annotated, Any

import typer

from avsnn_cli import listing
from avsnn_cli.options import (
    Device,
    DryRun,
    Force,
    Fresh,
    From,
    Json,
    Quiet,
    RecipeName,
    RunName,
    Set,
    Verbose,
    overrides,
)  # fmt: skip
from avsnn_cli.render import Reporter, emit, table
from pipelines.errors import RecipeError

app = typer.Typer(
    name="avsnn", no_args_is_help=True, add_completion=True, pretty_exceptions_enable=False,
    rich_markup_mode=None, context_settings={"help_option_names": ["-h", "--help"]},
    help="Repeatable audio-visual spiking-network research, from a YAML recipe.",
)  # fmt: skip
cache = typer.Typer(no_args_is_help=True, help="What lies on the disk.", rich_markup_mode=None)
app.add_typer(cache, name="cache")


def _version(wanted: bool) -> None:
    if wanted:
        from pipelines.store import versions

        print(f"avsnn {versions().get('avsnn', 'unknown')}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version.")
    ] = False,
) -> None:
    """Repeatable audio-visual spiking-network research, from a YAML recipe."""


@app.command("ls")
def ls(
    kind: Annotated[
        str | None,
        typer.Argument(metavar="[datasets|features|models|recipes|runs]", help="What to list."),
    ] = None,
    json: Json = False,
) -> None:
    """List datasets, features, models, recipes and runs."""
    found = listing.everything(kind)
    emit(found, json, listing.as_text(found))


@app.command()
def show(recipe: RecipeName, set_: Set = None, json: Json = False) -> None:
    """Print a recipe with every default in it; values no paper gives are marked."""
    from avsnn_cli import recipes

    resolved, text = recipes.shown(recipe, set_ or ())
    emit(resolved, json, text)


@app.command()
def cp(recipe: RecipeName, destination: Annotated[str, typer.Argument(metavar="DEST")],
       force: Force = False) -> None:  # fmt: skip
    """Copy a recipe to a file of your own, to edit it."""
    from avsnn_cli import recipes

    print(recipes.copy(recipe, destination, force=force))


@app.command()
def validate(
    recipe: Annotated[list[str], typer.Argument(metavar="RECIPE...")], set_: Set = None
) -> None:
    """Check recipes; all faults of all files at once."""
    from avsnn_cli import recipes

    faults = recipes.faults(recipe, set_ or ())
    if faults:
        raise RecipeError("\n".join(faults))
    print(f"{len(recipe)} valid")


@app.command()
def download(
    dataset: str,
    check: Annotated[bool, typer.Option("--check", help="Verify what is on disk.")] = False,
    from_: From = None, dry_run: DryRun = False, quiet: Quiet = False, json: Json = False,
) -> None:  # fmt: skip
    """Fetch and verify a dataset's sources."""
    from avsnn_cli import data

    emit(data.download(dataset, from_, Reporter(quiet=quiet), check=check, dry_run=dry_run), json)


@app.command()
def prepare(
    what: Annotated[str, typer.Argument(metavar="DATASET|RECIPE")],
    set_: Set = None, device: Device = None, from_: From = None, dry_run: DryRun = False,
    force: Force = False, quiet: Quiet = False, json: Json = False,
) -> None:  # fmt: skip
    """Make the manifest and the feature caches of a recipe, or of a dataset's recipes."""
    from avsnn_cli import data

    settings = overrides(set_, device)
    done = data.prepare(what, settings, from_, Reporter(quiet=quiet), dry_run=dry_run, force=force)
    emit(done, json, table(done) if dry_run else "")


@app.command()
def train(
    recipe: RecipeName, set_: Set = None, device: Device = None, from_: From = None,
    fresh: Fresh = False, dry_run: DryRun = False, quiet: Quiet = False,
    verbose: Verbose = False, json: Json = False,
) -> None:  # fmt: skip
    """Train a recipe, or go on where it stopped."""
    from avsnn_cli import work

    plan = work.open_recipe(recipe, overrides(set_, device))
    if dry_run:
        return emit(rows := work.stages.status(plan), json, table(rows))
    report = Reporter(quiet=quiet, verbose=verbose)
    emit(work.train(plan, report, from_, fresh=fresh), json)
    return None


@app.command()
def evaluate(
    run: RunName = None, device: Device = None, force: Force = False, quiet: Quiet = False,
    json: Json = False,
) -> None:  # fmt: skip
    """Look at the test set with the weights that validation selected."""
    from avsnn_cli import work

    result = work.evaluate(run, overrides(None, device), Reporter(quiet=quiet), force=force)
    emit(result, json, work.accuracy_table(result))


@app.command("noise-eval")
def noise_eval(
    run: RunName = None,
    snr: Annotated[
        str | None, typer.Option("--snr", metavar="START:STOP:STEP", help="Ratios in dB.")
    ] = None,
    modality: Annotated[
        str | None, typer.Option(metavar="audio|visual|both", help="What gets the noise.")
    ] = None,
    set_: Set = None, device: Device = None, force: Force = False, quiet: Quiet = False,
    json: Json = False,
) -> None:  # fmt: skip
    """Draw the noise curve of a trained run: accuracy over signal-to-noise ratio."""
    from avsnn_cli import work

    settings = (*overrides(set_, device), *work.noise_overrides(snr, modality))
    result = work.noise_eval(run, settings, Reporter(quiet=quiet), force=force)
    emit(result, json, work.noise_table(result))


@app.command("run")
def run_(
    recipe: RecipeName, set_: Set = None, device: Device = None, from_: From = None,
    fresh: Fresh = False, dry_run: DryRun = False, quiet: Quiet = False,
    verbose: Verbose = False, json: Json = False,
) -> None:  # fmt: skip
    """Do all that is missing: prepare, train, evaluate, noise-eval. For people and for cron."""
    from avsnn_cli import work

    plan = work.open_recipe(recipe, overrides(set_, device))
    if dry_run:
        return emit(rows := work.stages.status(plan), json, table(rows))
    result = work.run(plan, Reporter(quiet=quiet, verbose=verbose), from_, fresh=fresh)
    emit(result, json, work.accuracy_table(result) + "\n\n" + work.noise_table(result["noise"]))
    return None


@app.command()
def status(recipe: RecipeName, set_: Set = None, json: Json = False) -> None:
    """Say of each stage of a recipe whether it is done, and why not."""
    from avsnn_cli import work

    rows: list[Any] = work.stages.status(work.open_recipe(recipe, tuple(set_ or ())))
    emit(rows, json, table(rows))


@app.command()
def doctor(json: Json = False) -> None:
    """Check the environment; each finding comes with its fix."""
    from avsnn_cli import health

    findings = health.findings()
    emit(findings, json, health.as_text(findings))
    health.raise_if_broken(findings)


@cache.command("ls")
def cache_ls(json: Json = False) -> None:
    """List the caches with their sizes."""
    from pipelines.cache import housekeeping

    rows = housekeeping.caches()
    emit(rows, json, table(rows))


@cache.command("verify")
def cache_verify(json: Json = False) -> None:
    """Compare every cache file with the hash in its receipt."""
    from pipelines.cache import housekeeping

    rows = housekeeping.verify()
    emit(rows, json, table(rows))
    housekeeping.raise_if_damaged(rows)


@cache.command("prune")
def cache_prune(
    unused: Annotated[
        bool, typer.Option("--unused", help="Also whole caches that no run was trained on.")
    ] = False,
    dry_run: DryRun = False, json: Json = False,
) -> None:  # fmt: skip
    """Remove what killed processes left, and caches that were never finished."""
    from pipelines.cache import housekeeping

    rows = housekeeping.prune(unused=unused, dry_run=dry_run)
    emit(rows, json, table(rows))
