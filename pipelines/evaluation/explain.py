"""Explain trained runs on their test clips: distances, Grad-CAM++ and spikes, as explained/.

What a network cannot show, for it sees no picture or fires no spike, is left out and reported.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pipelines import registry
from pipelines.disk import store
from pipelines.errors import UsageError
from pipelines.evaluation.cam import Layer, last_visual_layer, visual_maps
from pipelines.evaluation.distances import cosine_distances, distances, sorted_by_class
from pipelines.evaluation.rasters import rasters
from pipelines.evaluation.trained_run import TrainedRun
from pipelines.figures import explain_plots as plots
from pipelines.figures.explain_plots import Raster
from pipelines.figures.ground import DARK, drawn_on
from pipelines.figures.plot_style import DARK_FOLDER, DPI, SCREEN_DPI, write
from pipelines.plan.data_plan import DataPlan
from pipelines.plan.plan import of_a_run
from pipelines.recipe.differences import differing
from pipelines.recipe.recipe import Recipe, by_path
from pipelines.results.run_files import publish, read_result
from pipelines.results.schemas import Explanation, Trained
from pipelines.signal.crops import centre_crop
from pipelines.training.batches import Batch, evenly, in_order
from pipelines.training.infer import by_name, call

FOLDER, RESULT = "explained", "distances.json"
# clips in the matrix, classes in the maps, layers in the raster
MOST_CLIPS, MOST_CLASSES, MOST_LAYERS = 500, 6, 12
SEED = 0


@dataclass(frozen=True)
class Explained:
    """What one run shows of its test clips.

    pictures, maps, predicted: of the `chosen` clips; pictures and maps are empty without vision.
    """

    run: TrainedRun
    embeddings: NDArray[np.float32]
    chosen: NDArray[np.int64]
    predicted: list[str]
    layer: Layer | None
    pictures: list[plots.Picture]
    maps: list[plots.Picture]
    rasters: list[Raster]


def explain(
    runs: Sequence[tuple[Recipe, DataPlan, Path]], device: torch.device, say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Explain runs and publish RUN/explained/ of each; returns the content of each distances.json.

    Runs with the same test clips are columns of one cam.png, which lies in each one's folder.
    """
    columns = [_explained(recipe, plan, run, device) for recipe, plan, run in runs]
    folders = [column.run.folder.name for column in columns]
    labels = run_labels([column.run.recipe for column in columns], folders)
    beside = {column.run.folder.name: column.run.trained["sha256"] for column in columns}
    results = []
    for own in columns:
        result = {**_numbers(own), "beside": beside, "left_out": _left_out(own, columns)}
        folder = own.run.folder / FOLDER
        # of an explanation that was killed while it was written
        store.remove_leftovers(folder)
        with store.publish(folder) as part:
            part.mkdir()
            _draw(own, columns, labels, result, part, DPI)
            (part / DARK_FOLDER).mkdir()
            with drawn_on(DARK):
                _draw(own, columns, labels, result, part / DARK_FOLDER, SCREEN_DPI)
            result["files"] = sorted([RESULT, *(path.name for path in part.glob("*.png"))])
            result = publish(part / RESULT, Explanation, result)
        report_left_out(result, say)
        results.append(result)
    return results


def kept(runs: Sequence[Path]) -> list[dict[str, Any]] | None:
    """Return the earlier results of the same runs together, with the same weights, or None."""
    # a list, for the order counts: it is that of the maps' columns
    weights = [(run.name, read_result(run / "trained.json", Trained)["sha256"]) for run in runs]
    folders = [run / FOLDER for run in runs]
    if not all((folder / RESULT).exists() for folder in folders):
        return None
    results = [read_result(folder / RESULT, Explanation) for folder in folders]
    whole = all(
        list(result["beside"].items()) == weights
        and all((folder / name).exists() for name in result["files"])
        for folder, result in zip(folders, results, strict=True)
    )
    return results if whole else None


def report_left_out(result: Mapping[str, Any], say: Callable[[str], None]) -> None:
    """Report what of a run could not be drawn, and why, a line each."""
    for what, reason in result["left_out"].items():
        say(f"explain: {result['run']}: {what} left out, {reason}")


def run_labels(recipes: Sequence[Recipe], runs: Sequence[str]) -> list[str]:
    """Return short names: the settings in which runs of a recipe differ, at most 3, and the recipe.

    Runs of one recipe only need the settings. runs: the runs' own names, which are taken where
    settings and recipes do not tell the runs apart.
    """
    names = [recipe.name.rpartition("/")[2] for recipe in recipes]
    settings = [by_path(of_a_run(recipe.resolved())) for recipe in recipes]
    labels = []
    for name, own in zip(names, settings, strict=True):
        alike = [values for values, recipe in zip(settings, names, strict=True) if recipe == name]
        shown = " ".join(f"{k.rpartition('.')[2]}={own.get(k)}" for k in differing(alike)[:3])
        several = len(set(names)) > 1
        labels.append(f"{shown} {name}".strip() if several or not shown else shown)
    return labels if len(set(labels)) == len(labels) else list(runs)


def _explained(recipe: Recipe, plan: DataPlan, run: Path, device: torch.device) -> Explained:
    opened = TrainedRun.open(recipe, plan, run, device)
    model, split, inputs, batches = opened.model, opened.split, opened.inputs, opened.batches
    embeddings: list[Tensor] = []
    model.eval()
    with torch.no_grad():
        for batch in batches(in_order(len(split), recipe.train.batch_size)):
            with opened.autocast():
                output = call(model, *inputs.for_evaluation(batch))
            assert output.embedding is not None
            embeddings.append(output.embedding.float().cpu())
    chosen = first_of_each_class(split.labels, MOST_CLASSES)
    (batch_of_chosen,) = batches([chosen])
    model_inputs = by_name(*inputs.for_evaluation(batch_of_chosen))
    with torch.no_grad():
        predicted = model(**model_inputs).logits.argmax(1).tolist()
    layer, maps = _maps(model, model_inputs, batch_of_chosen.labels)
    # one clip, so that what follows time in a layer's spikes is its neurons
    (batch_of_one,) = batches([chosen[:1]])
    return Explained(
        opened,
        torch.cat(embeddings).numpy(),
        chosen,
        [opened.classes[k] for k in predicted],
        layer,
        _pictures(recipe, batch_of_chosen) if layer else [],
        maps,
        rasters(model, by_name(*inputs.for_evaluation(batch_of_one)), seed=SEED),
    )


def first_of_each_class(labels: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Return the first clip of each of the first `most` classes that have one."""
    _, first = np.unique(labels, return_index=True)
    return first[:most]


def _maps(
    model: nn.Module, inputs: Mapping[str, Tensor], labels: Tensor
) -> tuple[Layer | None, list[plots.Picture]]:
    try:
        layer = last_visual_layer(model, inputs)
    except UsageError:
        return None, []
    return layer, list(visual_maps(model, inputs, labels, layer).cpu().numpy())


def _pictures(recipe: Recipe, batch: Batch) -> list[plots.Picture]:
    assert batch.visual is not None and recipe.visual is not None
    rows = centre_crop(batch.visual, recipe.visual.size).cpu().numpy()
    return [plots.as_picture(row, events=_sees_events(recipe)) for row in rows]


def _sees_events(recipe: Recipe) -> bool:
    assert recipe.visual is not None
    return bool(registry.load_module("feature", recipe.visual.feature).READS == "events")


def _sees_two_polarities(own: Explained) -> bool:
    return _sees_events(own.run.recipe) and own.run.split.caches["visual"].row_shape[-3] == 2


def _numbers(own: Explained) -> dict[str, Any]:
    split = own.run.split
    clips = [split.clips[i].id for i in own.chosen]
    cam = raster = None
    if own.layer:
        cam = {"layer": own.layer.name, "size": list(own.layer.size), "clips": clips}
    if own.rasters:
        raster = {"clip": clips[0], "rates": {layer.layer: layer.rate for layer in own.rasters}}
    return {
        "run": own.run.folder.name,
        **own.run.provenance(len(split)),
        "distance": "cosine",
        "embedding": own.embeddings.shape[1],
        **distances(own.embeddings, split.labels, len(own.run.classes)),
        "classes": list(own.run.classes),
        "drawn": {"clips": min(MOST_CLIPS, len(split)), "seed": SEED},
        "cam": cam,
        "raster": raster,
    }


def _left_out(own: Explained, columns: Sequence[Explained]) -> dict[str, str]:
    reasons = {}
    strangers = [
        column.run.folder.name
        for column in columns
        if column.layer and not _share_clips(own, column)
    ]
    if own.layer is None:
        reasons["cam.png"] = "for it sees no picture"
    elif strangers:
        reasons[f"the maps of {', '.join(strangers)}"] = "which was tested on other clips"
    if not own.rasters:
        reasons["raster.png"] = "for it fires no spikes"
    return reasons


def _share_clips(own: Explained, column: Explained) -> bool:
    return _test_set(own) == _test_set(column)


def _test_set(own: Explained) -> tuple[Any, ...]:
    clips = [(clip.id, clip.label, clip.visual) for clip in own.run.split.clips]
    return own.run.plan.manifest.name, own.run.classes, clips


def _draw(
    own: Explained,
    columns: Sequence[Explained],
    labels: Sequence[str],
    result: Mapping[str, Any],
    folder: Path,
    dpi: int,
) -> None:
    """Write the pictures of one run, on the current ground, into an existing folder."""
    split, classes, name = own.run.split, own.run.classes, own.run.recipe.name
    title = f"{name}, {result['dataset']} ({result['protocol']}), test"
    order = sorted_by_class(split.labels, MOST_CLIPS, SEED)
    summary = plots.distances_summary(result, len(order), len(split))
    matrix = cosine_distances(own.embeddings[order])
    figure = plots.draw_distances(matrix, split.labels[order], classes, title, summary)
    write(figure, folder / "distances.png", dpi)
    if own.layer:
        shown = [
            (column, label)
            for column, label in zip(columns, labels, strict=True)
            if column.layer and _share_clips(own, column)
        ]
        rows = [
            plots.CamRow(
                classes[split.labels[clip]],
                picture,
                [column.maps[k] for column, _ in shown],
                [column.predicted[k] for column, _ in shown],
            )
            for k, (clip, picture) in enumerate(zip(own.chosen, own.pictures, strict=True))
        ]
        note = plots.POLARITIES_NOTE if _sees_two_polarities(own) else ""
        figure = plots.draw_cams(rows, [label for _, label in shown], title, note)
        write(figure, folder / "cam.png", dpi)
    if own.rasters:
        clip = own.chosen[0]
        about = f"{name}, clip {split.clips[clip].id}, class {classes[split.labels[clip]]}"
        layers = [own.rasters[k] for k in evenly(len(own.rasters), MOST_LAYERS)]
        write(plots.draw_rasters(layers, about), folder / "raster.png", dpi)
