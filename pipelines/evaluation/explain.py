"""Explain trained runs on their test clips: distances, Grad-CAM++ and spikes, as explained/.

What a network cannot show, for it sees no picture or fires no spike, is left out, and said.
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
from pipelines.figures.plot_style import write
from pipelines.plan.data_plan import DataPlan
from pipelines.plan.plan import of_a_run
from pipelines.recipe.differences import differing
from pipelines.recipe.recipe import Recipe, by_path
from pipelines.results.run_files import publish, read
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
    """What is known of one run. pictures, maps: of the `chosen` clips, None without vision."""

    run: TrainedRun
    embeddings: NDArray[np.float32]
    chosen: NDArray[np.int64]
    said: list[str]
    layer: Layer | None
    pictures: list[plots.Picture]
    maps: list[plots.Picture]
    rasters: list[Raster]


def explain(
    runs: Sequence[tuple[Recipe, DataPlan, Path]], device: torch.device, say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Explain runs and publish RUN/explained/ of each; returns what distances.json says of each.

    Runs with the same test clips are columns of one cam.png, which lies in each one's folder.
    """
    found = [_looked_at(recipe, plan, run, device) for recipe, plan, run in runs]
    labels = run_labels([one.run.recipe for one in found], [one.run.folder.name for one in found])
    beside = {one.run.folder.name: one.run.trained["sha256"] for one in found}
    results = []
    for one in found:
        result = {**_numbers(one), "beside": beside, "left_out": _left_out(one, found)}
        store.remove_leftovers(one.run.folder / FOLDER)
        with store.publish(one.run.folder / FOLDER) as part:
            part.mkdir()
            _draw(one, found, labels, result, part)
            result["files"] = sorted([RESULT, *(path.name for path in part.glob("*.png"))])
            result = publish(part / RESULT, Explanation, result)
        report_left_out(result, say)
        results.append(result)
    return results


def kept(runs: Sequence[Path]) -> list[dict[str, Any]] | None:
    """Return what was found before of the same runs together, with the same weights, or None."""
    # in the same order: the columns are in it
    wanted = [(run.name, read(run / "trained.json", Trained)["sha256"]) for run in runs]
    folders = [run / FOLDER for run in runs]
    if not all((folder / RESULT).exists() for folder in folders):
        return None
    results = [read(folder / RESULT, Explanation) for folder in folders]
    whole = all(
        list(result["beside"].items()) == wanted
        and all((folder / name).exists() for name in result["files"])
        for folder, result in zip(folders, results, strict=True)
    )
    return results if whole else None


def report_left_out(result: Mapping[str, Any], say: Callable[[str], None]) -> None:
    """Say what of a run could not be drawn, and why, a line each."""
    for what, reason in result["left_out"].items():
        say(f"explain: {result['run']}: {what} left out, {reason}")


def run_labels(recipes: Sequence[Recipe], runs: Sequence[str]) -> list[str]:
    """Name runs shortly: by their recipes, or by the first settings in which those of one differ.

    runs: the runs' own names, for where that says no difference.
    """
    names = [recipe.name.rpartition("/")[2] for recipe in recipes]
    settings = [by_path(of_a_run(recipe.resolved())) for recipe in recipes]
    labels = []
    for name, own in zip(names, settings, strict=True):
        same = [other for other, called in zip(settings, names, strict=True) if called == name]
        shown = " ".join(f"{k.rpartition('.')[2]}={own.get(k)}" for k in differing(same)[:3])
        several = len(set(names)) > 1
        labels.append(f"{name} {shown}".strip() if several or not shown else shown)
    return labels if len(set(labels)) == len(labels) else list(runs)


def _looked_at(recipe: Recipe, plan: DataPlan, run: Path, device: torch.device) -> Explained:
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
    (some,) = batches([chosen])
    given = by_name(*inputs.for_evaluation(some))
    with torch.no_grad():
        said = model(**given).logits.argmax(1).tolist()
    layer, maps = _maps(model, given, some.labels)
    (one,) = batches([chosen[:1]])
    return Explained(
        opened, torch.cat(embeddings).numpy(), chosen, [opened.classes[k] for k in said], layer,
        _pictures(recipe, some) if layer else [], maps,
        rasters(model, by_name(*inputs.for_evaluation(one)), seed=SEED),
    )  # fmt: skip


def first_of_each_class(labels: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Return the first clip of each of the first `most` classes that have one."""
    _, first = np.unique(labels, return_index=True)
    return first[:most]


def _maps(
    model: nn.Module, given: Mapping[str, Tensor], labels: Tensor
) -> tuple[Layer | None, list[plots.Picture]]:
    try:
        layer = last_visual_layer(model, given)
    except UsageError:
        return None, []
    return layer, list(visual_maps(model, given, labels, layer).cpu().numpy())


def _pictures(recipe: Recipe, batch: Batch) -> list[plots.Picture]:
    assert batch.visual is not None and recipe.visual is not None
    rows = centre_crop(batch.visual, recipe.visual.size).cpu().numpy()
    return [plots.as_picture(row, events=_sees_events(recipe)) for row in rows]


def _sees_events(recipe: Recipe) -> bool:
    assert recipe.visual is not None
    return bool(registry.load("feature", recipe.visual.feature).READS == "events")


def _sees_two_polarities(one: Explained) -> bool:
    return _sees_events(one.run.recipe) and one.run.split.caches["visual"].row_shape[-3] == 2


def _numbers(one: Explained) -> dict[str, Any]:
    summary = distances(one.embeddings, one.run.split.labels, len(one.run.classes))
    clips = [one.run.split.clips[i].id for i in one.chosen]
    return {
        "run": one.run.folder.name,
        **one.run.provenance(len(one.run.split)),
        "distance": "cosine", "embedding": one.embeddings.shape[1], **summary,
        "classes": list(one.run.classes),
        "drawn": {"clips": min(MOST_CLIPS, len(one.run.split)), "seed": SEED},
        "cam": {"layer": one.layer.name, "size": list(one.layer.size), "clips": clips}
        if one.layer else None,
        "raster": {"clip": clips[0], "rates": {r.layer: r.rate for r in one.rasters}}
        if one.rasters else None,
    }  # fmt: skip


def _left_out(one: Explained, found: Sequence[Explained]) -> dict[str, str]:
    reasons = {}
    if one.layer is None:
        reasons["cam.png"] = "for it sees no picture"
    elif others := [o.run.folder.name for o in found if o.layer and not _share_clips(one, o)]:
        reasons[f"the maps of {', '.join(others)}"] = "which was tested on other clips"
    if not one.rasters:
        reasons["raster.png"] = "for it fires no spikes"
    return reasons


def _share_clips(one: Explained, other: Explained) -> bool:
    mine, theirs = (
        (o.run.plan.manifest.name, o.run.classes,
         [(c.id, c.label, c.visual) for c in o.run.split.clips])
        for o in (one, other)
    )  # fmt: skip
    return mine == theirs


def _draw(
    one: Explained,
    found: Sequence[Explained],
    labels: Sequence[str],
    result: Mapping[str, Any],
    folder: Path,
) -> None:
    classes = one.run.classes
    title = f"{one.run.recipe.name}, {result['dataset']} ({result['protocol']}), test"
    order = sorted_by_class(one.run.split.labels, MOST_CLIPS, SEED)
    summary = plots.distances_summary(result, len(order), len(one.run.split))
    matrix = cosine_distances(one.embeddings[order])
    sorted_labels = one.run.split.labels[order]
    write(plots.draw_distances(matrix, sorted_labels, classes, title, summary),
          folder / "distances.png")  # fmt: skip
    if one.layer:
        columns = [(o, label) for o, label in zip(found, labels, strict=True)
                   if o.layer and _share_clips(one, o)]  # fmt: skip
        rows = [
            plots.CamRow(
                classes[label_of_clip],
                picture,
                [o.maps[k] for o, _ in columns],
                [o.said[k] for o, _ in columns],
            )
            for k, (label_of_clip, picture) in enumerate(
                zip(one.run.split.labels[one.chosen], one.pictures, strict=True)
            )
        ]
        note = plots.POLARITIES_SAID if _sees_two_polarities(one) else ""
        write(plots.draw_cams(rows, [label for _, label in columns], title, note),
              folder / "cam.png")  # fmt: skip
    if one.rasters:
        clip = one.chosen[0]
        about = f"{one.run.recipe.name}, clip {one.run.split.clips[clip].id}, "
        about += f"class {classes[one.run.split.labels[clip]]}"
        layers = [one.rasters[k] for k in evenly(len(one.rasters), MOST_LAYERS)]
        write(plots.draw_rasters(layers, about), folder / "raster.png")
