"""The verbs. Each reads its arguments, calls one stage, and writes the result."""

from pathlib import Path
from typing import Annotated

import typer

from avsnn_cli import completion, listing
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
from pipelines.disk.paths import user_path
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
        from pipelines.disk.store import versions

        emit(None, as_json=False, text=f"avsnn {versions().get('avsnn', 'unknown')}")
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
        typer.Argument(
            metavar="datasets|features|models|recipes|runs", help="What to list.",
            autocompletion=completion.topics,
        ),
    ] = None,
    paper: Annotated[
        str | None,
        typer.Option(
            "--paper", metavar="NAME", help="A paper's recipes, by table.",
            autocompletion=completion.papers,
        ),
    ] = None,
    json: Json = False,
) -> None:  # fmt: skip
    """List datasets, features, models, recipes and runs."""
    found = listing.everything(kind) if paper is None else listing.of_paper(kind, paper)
    emit(found, json, listing.as_text(found), f"no {kind} yet")


@app.command()
def show(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="A recipe, else a model, a data set or a feature.",
            autocompletion=completion.shown,
        ),
    ],
    describe: Annotated[
        bool, typer.Option("--describe", help="Explain each value: a sentence, and what it takes.")
    ] = False,
    set_: Set = None, json: Json = False,
) -> None:  # fmt: skip
    """Print a recipe with every default, or describe what it names."""
    from avsnn_cli.describe import shown

    data, text = shown(name, set_ or (), explain=describe)
    emit(data, json, text)


@app.command()
def cp(recipe: RecipeName, destination: Annotated[str, typer.Argument(metavar="DEST")],
       force: Force = False) -> None:  # fmt: skip
    """Copy a recipe to a file of your own, to edit it."""
    from avsnn_cli import recipes

    emit(None, as_json=False, text=str(recipes.copy(recipe, destination, force=force)))


@app.command()
def validate(
    recipe: Annotated[
        list[str], typer.Argument(metavar="RECIPE...", autocompletion=completion.recipes)
    ],
    set_: Set = None, json: Json = False,
) -> None:  # fmt: skip
    """Check recipes; all faults of all files at once."""
    from avsnn_cli import recipes

    rows = recipes.validated(recipe, set_ or ())
    faulty = [row for row in rows if row["faults"]]
    emit(rows, json, "" if faulty else f"{len(rows)} valid")
    if faulty:
        raise RecipeError(recipes.joined(row["faults"] for row in faulty))


@app.command()
def download(
    dataset: Annotated[str, typer.Argument(autocompletion=completion.datasets)],
    check: Annotated[bool, typer.Option("--check", help="Verify what is on disk.")] = False,
    from_: From = None, dry_run: DryRun = False, quiet: Quiet = False, json: Json = False,
) -> None:  # fmt: skip
    """Fetch and verify a dataset's sources."""
    from avsnn_cli import data

    with Reporter(quiet=quiet) as report:
        found = data.download(dataset, from_, report, check=check, dry_run=dry_run)
    emit(found, json, found["folder"])


@app.command()
def prepare(
    what: Annotated[
        str, typer.Argument(metavar="DATASET|RECIPE", autocompletion=completion.prepared)
    ],
    set_: Set = None, device: Device = None, from_: From = None, dry_run: DryRun = False,
    force: Force = False, quiet: Quiet = False, json: Json = False,
) -> None:  # fmt: skip
    """Make the manifest and feature caches of a recipe or dataset."""
    from avsnn_cli import data

    settings = overrides(set_, device)
    with Reporter(quiet=quiet) as report:
        done = data.prepare(what, settings, from_, report, dry_run=dry_run, force=force)
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
        return emit(rows := work.status(plan), json, table(rows))
    with Reporter(quiet=quiet, verbose=verbose) as report:
        result = work.train(plan, report, from_, fresh=fresh)
    return emit(result, json, result["folder"])


@app.command()
def evaluate(
    run: RunName = None, device: Device = None, dry_run: DryRun = False, force: Force = False,
    quiet: Quiet = False, json: Json = False,
) -> None:  # fmt: skip
    """Look at the test set, with the weights that were selected."""
    from avsnn_cli import work

    settings = overrides(None, device)
    if dry_run:
        return emit(rows := work.planned(run, settings, "evaluate"), json, table(rows))
    with Reporter(quiet=quiet) as report:
        result = work.evaluate(run, settings, report, force=force)
    return emit(result, json, work.accuracy_table(result))


@app.command("noise-eval")
def noise_eval(
    run: RunName = None,
    snr: Annotated[
        str | None, typer.Option("--snr", metavar="START:STOP:STEP", help="Ratios in dB.")
    ] = None,
    modality: Annotated[
        str | None, typer.Option(metavar="audio|visual|both", help="What gets the noise.")
    ] = None,
    event_noise: Annotated[
        str | None,
        typer.Option(
            metavar="drop|rate:START:STOP:STEP",
            help="Instead, noise on raw events: a share dropped, or added ones in Hz per pixel.",
        ),
    ] = None,
    set_: Set = None, device: Device = None, dry_run: DryRun = False, force: Force = False,
    quiet: Quiet = False, json: Json = False,
) -> None:  # fmt: skip
    """Draw the noise curve: test accuracy at each noise level."""
    from avsnn_cli import work

    settings = work.noise_overrides(overrides(set_, device), snr, modality)
    events = work.event_noise_of(event_noise, snr, modality)
    if dry_run:
        rows = work.planned(run, settings, "noise-eval", events)
        return emit(rows, json, table(rows))
    with Reporter(quiet=quiet) as report:
        result = work.noise_eval(run, settings, report, force=force, event_noise=events)
    return emit(result, json, work.noise_table(result))


@app.command()
def energy(
    run: RunName = None,
    samples: Annotated[int, typer.Option(min=1, help="Test clips to count on.")] = 64,
    device: Device = None, force: Force = False, quiet: Quiet = False, json: Json = False,
) -> None:  # fmt: skip
    """Count a run's operations: theoretical, compute-only energy."""
    from avsnn_cli import work

    settings = overrides(None, device)
    with Reporter(quiet=quiet) as report:
        result = work.energy(run, settings, samples, report, force=force)
    emit(result, json, work.energy_table(result))


@app.command()
def explain(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN", help="Trained runs, side by side; else the last one.",
            autocompletion=completion.runs,
        ),
    ] = None,
    device: Device = None, force: Force = False, quiet: Quiet = False, json: Json = False,
) -> None:  # fmt: skip
    """Draw distances, Grad-CAM++ and spikes of runs."""
    from avsnn_cli import work

    settings = overrides(None, device)
    with Reporter(quiet=quiet) as report:
        result = work.explain(runs or [], settings, report, force=force)
    emit(result, json, work.explanation_table(result))


@app.command("export")
def export_(
    run: RunName = None,
    output: Annotated[
        Path | None,
        typer.Option(parser=user_path, metavar="FOLDER", help="Where to; else export/ in the run."),
    ] = None,
    nir: Annotated[bool, typer.Option("--nir", help="Also as NIR; fails where it cannot.")] = False,
    force: Force = False, quiet: Quiet = False, json: Json = False,
) -> None:  # fmt: skip
    """Write a run's folded weights as safetensors, checked."""
    from avsnn_cli import work

    with Reporter(quiet=quiet) as report:
        result = work.export(run, output, report, nir=nir, force=force)
    emit(result, json, work.export_text(result))


@app.command()
def predict(
    run: RunName = None,
    audio: Annotated[
        Path | None, typer.Option(parser=user_path, metavar="FILE", help="A sound.")
    ] = None,
    image: Annotated[
        Path | None, typer.Option(parser=user_path, metavar="FILE", help="An image.")
    ] = None,
    video: Annotated[
        Path | None, typer.Option(parser=user_path, metavar="FILE", help="Both in one.")
    ] = None,
    device: Device = None, quiet: Quiet = False, json: Json = False,
) -> None:  # fmt: skip
    """Say what a trained run makes of a clip of your own."""
    from avsnn_cli import work

    settings = overrides(None, device)
    with Reporter(quiet=quiet) as report:
        result = work.predict(run, settings, audio, image, video, report)
    emit(result, json, work.prediction_table(result))


@app.command("run")
def run_(
    recipe: RecipeName, set_: Set = None, device: Device = None, from_: From = None,
    fresh: Fresh = False, dry_run: DryRun = False, quiet: Quiet = False,
    verbose: Verbose = False, json: Json = False,
) -> None:  # fmt: skip
    """Do all that is missing: prepare, train, evaluate, noise-eval."""
    from avsnn_cli import work

    plan = work.open_recipe(recipe, overrides(set_, device))
    if dry_run:
        return emit(rows := work.status(plan), json, table(rows))
    with Reporter(quiet=quiet, verbose=verbose) as report:
        result = work.run(plan, report, from_, fresh=fresh)
    text = work.accuracy_table(result)
    if result["noise"] is not None:
        text += "\n\n" + work.noise_table(result["noise"])
    return emit(result, json, text)


@app.command()
def sweep(
    recipe: Annotated[
        list[str],
        typer.Argument(
            metavar="RECIPE...", help="One system or more.", autocompletion=completion.recipes
        ),
    ],
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="A.B=V1,V2,...", help="Values to try; all combinations."),
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, max=1000, help="How many, from the recipe's own on.")
    ] = None,
    device: Annotated[
        str | None, typer.Option(metavar="DEVICE[,...]", help="Where to compute; several share.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="What `compare` may call this sweep.")] = None,
    from_: From = None,
    no_noise: Annotated[bool, typer.Option("--no-noise", help="No noise curves.")] = False,
    dry_run: DryRun = False, quiet: Quiet = False, json: Json = False,
) -> None:  # fmt: skip
    """Run recipes over settings and seeds, each run once."""
    from avsnn_cli import comparing, sweeping
    from avsnn_cli.comparison_tables import as_text
    from pipelines.runs.sweep import grid

    for one in (device or "").split(","):
        overrides(None, one)  # refuses what is no device
    points = grid(recipe, set_ or (), seeds)
    if dry_run:
        return emit(rows := sweeping.planned(points, name), json, table(rows))
    with Reporter(quiet=quiet) as report:
        file = sweeping.run(points, device, report, from_, noise=not no_noise, name=name)
    rows = comparing.compare([str(file)])
    text = as_text(rows, "table")
    return emit({"sweep": file.stem, "rows": rows}, json, f"{text}\n\navsnn compare {file.stem}")


@app.command()
def compare(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN|SWEEP...", help="Evaluated runs.", autocompletion=completion.compared
        ),
    ],
    style: Annotated[
        str, typer.Option("--format", metavar="table|markdown|latex|csv", help="How to write it.")
    ] = "table",
    json: Json = False,
) -> None:  # fmt: skip
    """Put runs into one table, the papers' figures beside ours."""
    from avsnn_cli import comparing
    from avsnn_cli.comparison_tables import as_text

    rows = comparing.compare(runs)
    emit(rows, json, as_text(rows, style))


@app.command()
def report(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN|SWEEP...", help="Evaluated runs.", autocompletion=completion.compared
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(parser=user_path, metavar="FILE", help="Where to; else reports/ of the home."),
    ] = None,
    force: Force = False, quiet: Quiet = False, json: Json = False,
) -> None:  # fmt: skip
    """Write runs into one HTML file, pictures and all."""
    from avsnn_cli import comparing

    with Reporter(quiet=quiet) as reporter:
        result = comparing.report(runs, output, reporter, force=force)
    emit(result, json, result["report"])


@app.command()
def status(recipe: RecipeName, set_: Set = None, json: Json = False) -> None:
    """Say of each stage of a recipe whether it is done, and why not."""
    from avsnn_cli import work

    rows = work.status(work.open_recipe(recipe, overrides(set_, None)))
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
    emit(rows, json, table(rows), "no caches yet")


@cache.command("verify")
def cache_verify(json: Json = False) -> None:
    """Compare every cache file with the hash in its receipt."""
    from pipelines.cache import housekeeping

    rows = housekeeping.verify()
    emit(rows, json, table(rows), "no caches yet")
    housekeeping.raise_if_damaged(rows)


@cache.command("prune")
def cache_prune(
    unused: Annotated[
        bool, typer.Option("--unused", help="Also whole caches that no run was trained on.")
    ] = False,
    dry_run: DryRun = False, json: Json = False,
) -> None:  # fmt: skip
    """Remove leftovers of killed processes and unfinished caches."""
    from pipelines.cache.prune import prune

    with Reporter(quiet=False) as report:
        rows = prune(unused=unused, dry_run=dry_run, say=report.say)
    emit(rows, json, table(rows), "nothing to remove")
