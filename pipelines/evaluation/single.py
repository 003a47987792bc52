"""Classify one clip of the user's with a trained network: a sound, an image, or a video."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pipelines import registry
from pipelines.cache.batching import batches
from pipelines.cache.source_reader import Reading, Refused, decode
from pipelines.errors import DataError, UsageError
from pipelines.evaluation.trained_run import TrainedRun
from pipelines.plan.data_plan import CachePlan, DataPlan
from pipelines.plan.plan import extract_arguments
from pipelines.recipe.recipe import Recipe
from pipelines.snn.doa import decode as decode_azimuth
from pipelines.training.batches import Batch
from pipelines.training.infer import call
from pipelines.training.inputs import Inputs

ANY_FILES = "folder"  # the data set whose readers take any sound, image or video


def predict_files(
    recipe: Recipe,
    plan: DataPlan,
    run: Path,
    device: torch.device,
    audio: Path | None,
    visual: Path | None,
) -> dict[str, Any]:
    """Classify one clip with a trained run. audio, visual: files; a video may be either or both.

    The clip is prepared as the run's test clips were. A modality of the network without a file is
    replaced by the mean of the training clips and listed in "missing". Returns the class, the
    probabilities and, where the network predicts one, the azimuth in degrees.
    Raises DataError for a file that cannot be read; UsageError for a modality that the network
    does not take, without any file, and for networks of events, which no such file holds.
    """
    files = {"audio": audio, "visual": visual}
    for modality, path in files.items():
        if path is not None and modality not in plan.caches:
            raise UsageError(
                f"{run.name} takes no {modality}", f"it takes {' and '.join(plan.caches)}"
            )
    if not any(files.values()):
        raise UsageError("no file to classify", "--audio FILE, --image FILE or --video FILE")
    opened = TrainedRun.open(recipe, plan, run, device)
    model, inputs = opened.model, opened.inputs
    rows = {
        modality: _row(cache, path, device)
        for modality, cache in plan.caches.items()
        if (path := files[modality]) is not None
    }
    missing = [modality for modality in plan.caches if modality not in rows]
    nothing = torch.zeros(1, dtype=torch.int64, device=device)
    batch = Batch(rows.get("audio"), rows.get("visual"), nothing, nothing, None)
    audio_input, visual_input = inputs.for_evaluation(batch)
    model.eval()
    with torch.no_grad(), opened.autocast():
        if "audio" in missing:
            audio_input = _mean(plan, "audio", inputs, device)
        if "visual" in missing:
            visual_input = _mean(plan, "visual", inputs, device)
        output = call(model, audio_input, visual_input)
    probabilities = output.logits.float().softmax(1)[0].tolist()
    classes = opened.classes
    result: dict[str, Any] = {
        "recipe": recipe.name,
        "run": run.name,
        "files": {modality: str(path) for modality, path in files.items() if path is not None},
        "missing": missing,
        "class": classes[max(range(len(classes)), key=probabilities.__getitem__)],
        "probabilities": dict(zip(classes, probabilities, strict=True)),
        "weights_sha256": opened.trained["sha256"],
    }
    if output.azimuth is not None:
        result["azimuth_deg"] = float(decode_azimuth(output.azimuth)[0])
    return result


def _row(cache: CachePlan, path: Path, device: torch.device) -> Tensor:
    """Decode a file and compute the feature of the cache: (1, C, H, W) or (1, T, C, H, W)."""
    feature = registry.load_module("feature", cache.made_from["feature"])
    if feature.READS in ("events", "spikes"):
        raise UsageError(
            f"the network takes {cache.made_from['feature']}, which no sound or image file holds",
            "avsnn evaluate RUN evaluates it on its data set",
        )
    arguments = extract_arguments(cache)
    settings = {name: arguments[name] for name in getattr(feature, "READ_SETTINGS", ())}
    place = path.absolute()
    seconds = getattr(cache.section, "seconds", 0.0)
    reading = Reading(ANY_FILES, place.parent, feature.READS, seconds, settings)
    source = decode(reading, place.name)
    if isinstance(source, Refused):
        raise DataError(source.reason, "choose another file")
    rate = getattr(cache.section, "sample_rate", 0)
    (batch,) = batches([source], reading, sample_rate=rate, refused={}, device=device)
    row: Tensor = feature.extract(batch.data, **arguments)
    if not row.is_floating_point():  # counts of events and pixels are whole numbers
        return row
    # caches hold float16: the same rounding as in training, and what overflows it is refused
    if not (row := row.half()).isfinite().all():
        raise DataError(
            f"{path}: its {cache.made_from['feature']} is not finite", "choose another file"
        )
    return row


def _mean(plan: DataPlan, modality: str, inputs: Inputs, device: torch.device) -> Tensor:
    """Return the mean training clip after normalisation: zeros of an input's shape."""
    # any row gives the shape: crops and time steps make it another than the cache's
    from pipelines.cache.receipts import open_rows

    with open_rows(plan.caches[modality], "train") as rows:
        row = torch.from_numpy(rows.read(range(1))).to(device)
    nothing = torch.zeros(1, dtype=torch.int64, device=device)
    both = inputs.for_evaluation(
        Batch(
            row if modality == "audio" else None,
            row if modality == "visual" else None,
            nothing,
            nothing,
            None,
        )
    )
    (prepared,) = (x for x in both if x is not None)
    return torch.zeros_like(prepared)
