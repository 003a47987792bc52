"""What a trained network says of one clip of the user's: a sound, an image, or a video."""

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
    recipe: Recipe, plan: DataPlan, run: Path, device: torch.device,
    audio: Path | None, visual: Path | None,
) -> dict[str, Any]:  # fmt: skip
    """Classify one clip with a trained run. audio, visual: files; a video may be either or both.

    Prepared as the run's test clips were. A modality that the network takes and nobody gives is
    replaced by the mean of the training clips, and named in "missing". Returns class,
    probabilities and, where the network says one, the azimuth in degrees.
    Raises DataError for a file that cannot be read, UsageError for one that the network does not
    take, for none at all, and for networks of events, which no such file holds.
    """
    given = {"audio": audio, "visual": visual}
    for modality, path in given.items():
        if path is not None and modality not in plan.caches:
            raise UsageError(
                f"{run.name} takes no {modality}", f"it takes {' and '.join(plan.caches)}"
            )
    if not any(given.values()):
        raise UsageError("no file is given", "--audio FILE, --image FILE or --video FILE")
    opened = TrainedRun.open(recipe, plan, run, device)
    model, inputs = opened.model, opened.inputs
    rows = {
        modality: _row(cache, path, device)
        for modality, cache in plan.caches.items()
        if (path := given[modality]) is not None
    }
    missing = [modality for modality in plan.caches if modality not in rows]
    nothing = torch.zeros(1, dtype=torch.int64, device=device)
    batch = Batch(rows.get("audio"), rows.get("visual"), nothing, nothing, None)
    heard, seen = inputs.for_evaluation(batch)
    model.eval()
    with torch.no_grad(), opened.autocast():
        if "audio" in missing:
            heard = _mean(plan, "audio", inputs, device)
        if "visual" in missing:
            seen = _mean(plan, "visual", inputs, device)
        output = call(model, heard, seen)
    probabilities = output.logits.float().softmax(1)[0].tolist()
    classes = opened.classes
    found: dict[str, Any] = {
        "recipe": recipe.name, "run": run.name,
        "files": {modality: str(path) for modality, path in given.items() if path is not None},
        "missing": missing,
        "class": classes[max(range(len(classes)), key=probabilities.__getitem__)],
        "probabilities": dict(zip(classes, probabilities, strict=True)),
        "weights_sha256": opened.trained["sha256"],
    }  # fmt: skip
    if output.azimuth is not None:
        found["azimuth_deg"] = float(decode_azimuth(output.azimuth)[0])
    return found


def _row(cache: CachePlan, path: Path, device: torch.device) -> Tensor:
    """Decode a file and compute the feature of the cache: (1, C, H, W) or (1, T, C, H, W)."""
    feature = registry.load("feature", cache.made_from["feature"])
    if feature.READS in ("events", "spikes"):
        raise UsageError(
            f"the network takes {cache.made_from['feature']}, which no sound or image file holds",
            "avsnn evaluate tests it on its data set",
        )
    arguments = extract_arguments(cache)
    settings = {name: arguments[name] for name in getattr(feature, "READ_SETTINGS", ())}
    place = path.absolute()
    seconds = getattr(cache.section, "seconds", 0.0)
    reading = Reading(ANY_FILES, place.parent, feature.READS, seconds, settings)
    found = decode(reading, place.name)
    if isinstance(found, Refused):
        raise DataError(found.reason, "give another file")
    rate = getattr(cache.section, "sample_rate", 0)
    (batch,) = batches([found], reading, sample_rate=rate, refused={}, device=device)
    row: Tensor = feature.extract(batch.data, **arguments)
    if not row.is_floating_point():
        return row
    if not (row := row.half()).isfinite().all():
        raise DataError(f"{path}: its {cache.made_from['feature']} is not finite", "give another")
    return row


def _mean(plan: DataPlan, modality: str, inputs: Inputs, device: torch.device) -> Tensor:
    """Return the mean training clip after normalisation: zeros of an input's shape."""
    from pipelines.cache.receipts import open_rows

    with open_rows(plan.caches[modality], "train") as rows:
        row = torch.from_numpy(rows.read(range(1))).to(device)
    nothing = torch.zeros(1, dtype=torch.int64, device=device)
    both = inputs.for_evaluation(Batch(
        row if modality == "audio" else None, row if modality == "visual" else None,
        nothing, nothing, None,
    ))  # fmt: skip
    (found,) = (x for x in both if x is not None)
    return torch.zeros_like(found)
