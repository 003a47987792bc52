"""The verbs that take a trained run: evaluate, noise-eval, energy, explain, export, predict."""

from pathlib import Path
from typing import Annotated

import typer

from avsnn_cli import completion
from avsnn_cli.layout import table
from avsnn_cli.options import Device, DryRun, Force, Json, Quiet, RunName, Set, overrides
from avsnn_cli.render import TerminalReporter, emit
from pipelines.disk.paths import user_path


def evaluate(
    run: RunName = None,
    device: Device = None,
    dry_run: DryRun = False,
    force: Force = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Evaluate the selected weights of a run on the test set."""
    from avsnn_cli import tables
    from pipelines.runs import result_stages
    from pipelines.runs.open_run import open_run
    from pipelines.runs.status import status

    with TerminalReporter(quiet=quiet) as reporter:
        recipe, folder = open_run(run, overrides(None, device))
        if dry_run:
            rows = [row for row in status(recipe, folder) if row["stage"] != "noise-eval"]
            return emit(rows, json, table(rows))
        result = result_stages.evaluate(recipe, folder, reporter, force=force)
    return emit(result, json, tables.accuracy_table(result))


def noise_eval(
    run: RunName = None,
    snr: Annotated[
        str | None,
        typer.Option(
            "--snr", metavar="START:STOP:STEP", help="Signal-to-noise ratios in dB, both ends in."
        ),
    ] = None,
    modality: Annotated[
        str | None,
        typer.Option(metavar="audio|visual|both", help="Input to which noise is added."),
    ] = None,
    event_noise: Annotated[
        str | None,
        typer.Option(
            metavar="drop|rate:START:STOP:STEP",
            help="Disturb raw events instead: drop a share of them, or add some (Hz per pixel).",
        ),
    ] = None,
    set_: Set = None,
    device: Device = None,
    dry_run: DryRun = False,
    force: Force = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Measure the test accuracy of a run at each noise level."""
    from avsnn_cli import tables
    from avsnn_cli.noise_arguments import event_noise_of, noise_of, noise_overrides
    from pipelines.runs import result_stages
    from pipelines.runs.open_run import open_run
    from pipelines.runs.status import status

    settings = noise_overrides(overrides(set_, device), snr, modality)
    events = event_noise_of(event_noise, snr, modality)
    with TerminalReporter(quiet=quiet) as reporter:
        recipe, folder = open_run(run, settings)
        noise = noise_of(recipe, events)
        if dry_run:
            rows = [row for row in status(recipe, folder, noise) if row["stage"] != "evaluate"]
            return emit(rows, json, table(rows))
        result = result_stages.noise_eval(recipe, folder, noise, reporter, force=force)
    return emit(result, json, tables.noise_table(result))


def energy(
    run: RunName = None,
    samples: Annotated[
        int,
        typer.Option(
            min=1, metavar="N", help="Number of test clips on which operations are counted."
        ),
    ] = 64,
    device: Device = None,
    force: Force = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Count a run's operations and their theoretical energy.

    The energy is that of computing alone, without memory accesses, at 45 nm.
    """
    from avsnn_cli import tables
    from pipelines.runs import result_stages
    from pipelines.runs.open_run import open_run

    with TerminalReporter(quiet=quiet) as reporter:
        recipe, folder = open_run(run, overrides(None, device))
        result = result_stages.energy(recipe, folder, samples, reporter, force=force)
    emit(result, json, tables.energy_table(result))


def explain(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN",
            help="Names or folders of trained runs to compare; without any, the last run.",
            autocompletion=completion.runs,
        ),
    ] = None,
    device: Device = None,
    force: Force = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Draw embedding distances, Grad-CAM++ and spikes of runs."""
    from avsnn_cli import tables
    from pipelines.runs import result_stages
    from pipelines.runs.open_run import open_run

    settings = overrides(None, device)
    with TerminalReporter(quiet=quiet) as reporter:
        opened = [open_run(run, settings) for run in (runs or (None,))]
        results = result_stages.explain(opened, reporter, force=force)
    emit(results, json, tables.explanation_table(results))


def export(
    run: RunName = None,
    output: Annotated[
        Path | None,
        typer.Option(
            parser=user_path,
            metavar="FOLDER",
            help="Folder to write; without it, export/ in the run.",
        ),
    ] = None,
    nir: Annotated[
        bool,
        typer.Option("--nir", help="Write NIR too; fails for a network that NIR cannot carry."),
    ] = False,
    force: Force = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Write a run's folded weights as safetensors, and check them."""
    from avsnn_cli import tables
    from pipelines.runs import result_stages
    from pipelines.runs.open_run import open_run

    with TerminalReporter(quiet=quiet) as reporter:
        recipe, folder = open_run(run)
        result = result_stages.export(recipe, folder, output, reporter, nir=nir, force=force)
    emit(result, json, tables.export_text(result))


def predict(
    run: RunName = None,
    audio: Annotated[
        Path | None, typer.Option(parser=user_path, metavar="FILE", help="Sound file to classify.")
    ] = None,
    image: Annotated[
        Path | None, typer.Option(parser=user_path, metavar="FILE", help="Image file to classify.")
    ] = None,
    video: Annotated[
        Path | None,
        typer.Option(
            parser=user_path,
            metavar="FILE",
            help="Video file that serves as sound and as image where those are not given.",
        ),
    ] = None,
    device: Device = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Classify your own clip with a trained run."""
    from avsnn_cli import tables
    from pipelines.runs import result_stages
    from pipelines.runs.open_run import open_run

    with TerminalReporter(quiet=quiet) as reporter:
        recipe, folder = open_run(run, overrides(None, device))
        # a run without one of the inputs must not be handed a file for it
        audio = audio or (video if recipe.audio is not None else None)
        image = image or (video if recipe.visual is not None else None)
        result = result_stages.predict(recipe, folder, audio, image, reporter)
    emit(result, json, tables.prediction_table(result))
