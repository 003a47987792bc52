"""`avsnn train`, `evaluate`, `noise-eval` and `run`: stages with a reporter, results as tables."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from avsnn_cli.render import Reporter, percent, table
from pipelines import registry
from pipelines.errors import UsageError
from pipelines.recipe import recipe as recipes
from pipelines.recipe.noise import EventNoise, Noise, parse_event_noise
from pipelines.recipe.recipe import Recipe
from pipelines.runs import result_stages, train_stage
from pipelines.runs.open_run import open_run
from pipelines.runs.status import status

__all__ = ["status"]

SHOWN_CLASSES = 10
MODALITIES = ["audio", "visual", "both"]


def open_recipe(name: str, settings: Sequence[str]) -> Recipe:
    """Load a recipe by file or bundled name."""
    return recipes.load(recipes.find(name), settings)


def train(recipe: Recipe, report: Reporter, mirror: Path | None, *, fresh: bool) -> dict[str, Any]:
    """Train; returns the run's name and folder."""
    folder = train_stage.train(recipe, report, mirror=mirror, fresh=fresh)
    return {"run": folder.name, "folder": str(folder)}


def planned(
    run: str | None, settings: Sequence[str], stage: str, event_noise: EventNoise | None = None
) -> list[dict[str, str]]:
    """Say what a stage of a run would find done, and what it would do."""
    recipe, folder = open_run(run, tuple(settings))
    last = {"evaluate", "noise-eval"} - {stage}
    rows = status(recipe, folder, _noise(recipe, event_noise))
    return [row for row in rows if row["stage"] not in last]


def evaluate(
    run: str | None, settings: Sequence[str], report: Reporter, *, force: bool
) -> dict[str, Any]:
    """Evaluate a run."""
    recipe, folder = open_run(run, tuple(settings))
    return result_stages.evaluate(recipe, folder, report, force=force)


def noise_overrides(given: Sequence[str], snr: str | None, modality: str | None) -> tuple[str, ...]:
    """Add --snr and --modality to the overrides of a run's recipe.

    Raises UsageError on nonsense, and for a setting that training has used.
    """
    for setting in given:
        if setting.split(".")[0].strip() not in ("noise", "runtime"):
            hint = "of a trained run only noise and runtime can be set"
            raise UsageError(f"--set {setting}: the run was trained without it", hint)
    if modality and modality not in MODALITIES:
        hint = registry.closest(modality, MODALITIES)
        raise UsageError(f"--modality {modality}: no such input", hint)
    found = [f"noise.modality={modality}"] if modality else []
    if snr is not None:
        chosen = recipes.parse_range(snr)
        found.append(f"noise.snr_db={chosen.model_dump_json()}")
    return (*given, *found)


def noise_eval(
    run: str | None, settings: Sequence[str], report: Reporter, *, force: bool,
    event_noise: EventNoise | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Sweep the noise over a run: the recipe's, or noise on its events."""
    recipe, folder = open_run(run, tuple(settings))
    return result_stages.noise_eval(
        recipe, folder, _noise(recipe, event_noise), report, force=force
    )


def event_noise_of(text: str | None, snr: str | None, modality: str | None) -> EventNoise | None:
    """Read --event-noise, on the input of --modality. Raises UsageError on nonsense."""
    if text is None:
        return None
    if snr is not None:
        raise UsageError(
            "--snr is of white noise, --event-noise of events: a sweep has one of them",
            "give them to two commands",
        )
    return parse_event_noise(text, modality)


def _noise(recipe: Recipe, event_noise: EventNoise | None) -> Noise | EventNoise:
    if event_noise is None:
        return recipe.noise
    return event_noise.model_copy(update={"seed": recipe.noise.seed})


def energy(
    run: str | None, settings: Sequence[str], samples: int, report: Reporter, *, force: bool
) -> dict[str, Any]:
    """Count a run's operations."""
    recipe, folder = open_run(run, tuple(settings))
    return result_stages.energy(recipe, folder, samples, report, force=force)


def energy_table(result: dict[str, Any]) -> str:
    """Lay out an energy count: layer by layer, then in all, beside the ANN twin."""
    rows = [
        {"layer": row["name"], "input": row["input"], "density": f"{row['density']:.3f}",
         "operations": f"{row['macs'] + row['acs']:.3g} {'MAC' if row['macs'] else 'AC'}",
         "nJ": f"{row['energy_pj']['float32'] / 1000:.3g}"}
        for row in result["layers"]
    ]  # fmt: skip
    totals = [
        {"": name, **{f"µJ {kind}": f"{pj / 1e6:.4g}" for kind, pj in found["energy_pj"].items()}}
        for name, found in (("this network", result["total"]),
                            ("its ANN twin, one step", result["ann_twin"]))
    ]  # fmt: skip
    return (
        f"{table(rows)}\n(nJ at float32)\n\n{table(totals)}\n\n{result['label']}: a clip, mean of "
        f"{result['n']} test clips;\nno memory, no neurons; no measurement and no bound"
    )


def explain(
    runs: Sequence[str], settings: Sequence[str], report: Reporter, *, force: bool
) -> list[dict[str, Any]]:
    """Explain runs; none given is the one trained last."""
    opened = [open_run(run, tuple(settings)) for run in (runs or (None,))]
    return result_stages.explain(opened, report, force=force)


def explanation_table(results: Sequence[dict[str, Any]]) -> str:
    """Lay out the distances, a row a run, and say where the pictures are."""
    numbers = ("within", "between", "ratio", "silhouette")
    rows = [
        {**{name: "" if row[name] is None else f"{row[name]:.3f}" for name in numbers},
         "n": row["n"], "run": row["run"]}
        for row in results
    ]  # fmt: skip
    places = [f"{row['folder']}: {' '.join(row['files'])}" for row in results]
    return "\n".join([table(rows), "(cosine distances of test clips' embeddings)", "", *places])


def export(
    run: str | None, output: Path | None, report: Reporter, *, nir: bool, force: bool
) -> dict[str, Any]:
    """Export a run; returns what model.json says, and the folder."""
    recipe, folder = open_run(run)
    return result_stages.export(recipe, folder, output, report, nir=nir, force=force)


def export_text(result: dict[str, Any]) -> str:
    """Say what an export is: what was folded, how equal it is, what NIR does not carry."""
    check, accuracy = result["check"], result["check"]["accuracy"]
    lines = [
        f"{result['model']['name']}, {result['weights']['numbers']:,} numbers, "
        f"{len(result['folded'])} norms folded, {len(result['not_folded'])} kept",
        f"on {check['clips']} test clips the folded network differs by "
        f"{check['float64_difference']:.1g} in float64,",
        f"by {check['float32_difference']:.1g} as written in float32, where "
        f"{check['float32_predictions_changed']} predictions change",
        f"accuracy there {percent(accuracy['before'])} before, {percent(accuracy['after'])} after",
    ]
    left = result["nir"]["not_carried"]
    kinds = dict.fromkeys(row["type"] for row in left)
    if left:
        lines.append(f"NIR does not carry {', '.join(kinds)}")
    wrapped = (line for text in lines for line in textwrap.wrap(text, 80))
    return "\n".join([result["folder"], *wrapped])


def predict(
    run: str | None, settings: Sequence[str], audio: Path | None, image: Path | None,
    video: Path | None, report: Reporter,
) -> dict[str, Any]:  # fmt: skip
    """Classify one clip. A video is its own sound and picture, where nothing else is given."""
    recipe, folder = open_run(run, tuple(settings))
    if video is not None:
        audio = audio or (video if recipe.audio is not None else None)
        image = image or (video if recipe.visual is not None else None)
    return result_stages.predict(recipe, folder, audio, image, report)


def prediction_table(result: dict[str, Any]) -> str:
    """Lay out a prediction: the likeliest classes first, and what was missing."""
    shown = sorted(result["probabilities"].items(), key=lambda item: -item[1])[:SHOWN_CLASSES]
    lines = [table([{"class": name, "probability": percent(share)} for name, share in shown])]
    if "azimuth_deg" in result:
        lines.append(f"azimuth {result['azimuth_deg']:g}°")
    for modality in result["missing"]:
        lines.append(f"no {modality} was given: the mean of the training clips stood in for it")
    return "\n".join(lines)


def run(recipe: Recipe, report: Reporter, mirror: Path | None, *, fresh: bool) -> dict[str, Any]:
    """Do all that is missing; returns the evaluation with the noise sweep, or null, in it."""
    folder = train_stage.train(recipe, report, mirror=mirror, fresh=fresh)
    result = result_stages.evaluate(recipe, folder, report)
    noise = result_stages.noise_eval_where_possible(recipe, folder, recipe.noise, report)
    return {**result, "noise": noise, "folder": str(folder)}


def accuracy_table(result: dict[str, Any]) -> str:
    """Lay out an evaluation: what was measured, and the recall of each class."""
    low, high = result["wilson"]
    head = (
        f"{result['dataset']} ({result['protocol']}), test n = {result['n']}, seed "
        f"{result['seed']}, {result['selection']}\n"
        f"accuracy {percent(result['accuracy'])}  95 % {percent(low)} to {percent(high)}  "
        f"balanced {percent(result['balanced_accuracy'])}"
    )
    if "doa" in result:
        head += f"\n{_doa(result['doa'])}"
    rows = [
        {"class": row["class"], "n": row["n"], "recall": _share(row["recall"]),
         "precision": _share(row["precision"])}
        for row in result["per_class"]
    ]  # fmt: skip
    return f"{head}\n\n{table(rows)}"


def _doa(found: dict[str, Any]) -> str:
    return (
        f"azimuth: mean error {found['mae_deg']:.2f}° on the circle, "
        f"{percent(found['below_2_5_deg'])} below 2.5°, {percent(found['up_to_5_deg'])} up to 5° "
        f"(n = {found['n']})"
    )


def _share(value: float | None) -> str:
    return "" if value is None else percent(value)


def noise_table(result: dict[str, Any]) -> str:
    """Lay out a noise sweep, the clean point first."""
    name, unit = ("level", result["unit"]) if "unit" in result else ("snr_db", "SNR (dB)")
    rows = [
        {unit: "clean" if point[name] is None else f"{point[name]:g}",
         "accuracy": percent(point["accuracy"]),
         "95 %": f"{percent(point['wilson_low'])} to {percent(point['wilson_high'])}"}
        for point in result["points"]
    ]  # fmt: skip
    return f"noise on {' and '.join(result['noisy_inputs'])}\n{table(rows)}"
