"""Export a trained network as two files without pickle, with its norms folded and checked.

    from pipelines.evaluation.export import load_network
    network = load_network("export")        # as `avsnn export RUN --output export` wrote it
    logits = network(audio, visual).logits  # inputs as described in model.json

model.json describes the network, the preparation of its inputs and what was measured;
weights.safetensors holds float32 numbers. `pipelines.evaluation.exported` reads both.
"""

import copy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pipelines import registry
from pipelines.cache.receipts import cache_receipt
from pipelines.disk import store
from pipelines.errors import AvsnnError
from pipelines.evaluation.export_check import Clips, checked, floats, rounded, same
from pipelines.evaluation.exported import DESCRIPTION, FORMAT, NIR, VERSION, WEIGHTS, load_network
from pipelines.evaluation.nir_export import not_carried, refusal, write_nir
from pipelines.evaluation.trained_run import TrainedRun
from pipelines.plan.data_plan import DataPlan
from pipelines.recipe.recipe import Recipe
from pipelines.recipe.settings_from_signature import keyword_only
from pipelines.snn.dsln import DSLN
from pipelines.snn.fold import BatchNorm, folded
from pipelines.snn.token_norms import VariantLayerNorm
from pipelines.training.batches import evenly, in_order
from pipelines.training.checkpoint import write_weights
from pipelines.training.infer import by_name
from pipelines.training.scale import statistics_used

__all__ = ["Clips", "export_run", "load_network", "write"]

CLIPS, BATCH = 64, 16
CPU = torch.device("cpu")  # the check is in float64, and must not depend on a GPU


def export_run(
    recipe: Recipe, plan: DataPlan, run: Path, folder: Path, *, nir: bool
) -> dict[str, Any]:
    """Export a trained run to a folder and return the content of model.json.

    nir: also write NIR. Raises AvsnnError, with nothing written, if folding changes an output;
    and, after the rest has been written, UsageError or MachineError if NIR cannot be written.
    """
    opened = TrainedRun.open(recipe, plan, run, CPU)
    chosen = evenly(len(opened.split), CLIPS)
    clips = [
        Clips(by_name(*opened.inputs.for_evaluation(batch)), batch.labels)
        for batch in opened.batches([chosen[i] for i in in_order(len(chosen), BATCH)])
    ]
    settings = _settings(recipe, plan, clips[0].inputs)
    origin = {
        **opened.provenance(len(chosen)),
        "inputs": {name: _input(plan, recipe, name, x) for name, x in clips[0].inputs.items()},
        "classes": plan.manifest.classes,
    }
    return write(folder, opened.model, recipe.model.name, settings, clips, origin, nir=nir)


def write(
    folder: Path,
    model: nn.Module,
    name: str,
    settings: dict[str, Any],
    clips: list[Clips],
    origin: dict[str, Any],
    *,
    nir: bool = False,
) -> dict[str, Any]:
    """Fold a network of the registry, check it on clips, and publish it; see `export_run`.

    settings: all settings of the model, as plain JSON. origin: further keys of model.json.
    """
    exact = copy.deepcopy(model).double().eval()
    doubles = [{n: x.double() for n, x in batch.inputs.items()} for batch in clips]
    small, done, _ = folded(exact, doubles[0])
    # before anything is written: a network that folding changes is not published
    check = checked(exact, small, doubles)
    small = small.float()
    rows = not_carried(small, floats(clips[0].inputs))
    failure: AvsnnError | None = None
    with store.publish(folder) as part:
        part.mkdir()
        tensors = {n: x.detach().contiguous().clone() for n, x in small.state_dict().items()}
        write_weights(part / WEIGHTS, tensors, {"format": "pt"})
        if nir:
            failure = _with_nir(small, name, rows, clips[0].inputs, part)
        description: dict[str, Any] = {
            "format": FORMAT,
            "format_version": VERSION,
            "model": {"name": name, "settings": settings},
            **origin,
            "folded": [{"norm": norm, "into": layer} for norm, layer in done.items()],
            "not_folded": _kept(small),
            "check": check,
            "nir": {"file": NIR if (part / NIR).exists() else None, "not_carried": rows},
            "weights": {
                "file": WEIGHTS,
                "bytes": (part / WEIGHTS).stat().st_size,
                "sha256": store.sha256(part / WEIGHTS),
                "tensors": len(tensors),
                "numbers": sum(x.numel() for x in tensors.values()),
            },
            "versions": store.versions(),
        }
        store.publish_json(part / DESCRIPTION, description)
        # through the public loader, so that what users will read is what was checked
        back = load_network(part)
        same(small, back, tensors, doubles[0])
        description["check"] = check | rounded(model, back, clips)
        store.publish_json(part / DESCRIPTION, description)
    # only now: without NIR the two files are a whole export
    if failure is not None:
        raise type(failure)(
            failure.message, failure.hint or f"{folder} holds the export without NIR"
        )
    return description


def _with_nir(
    small: nn.Module, name: str, rows: list[dict[str, str]], inputs: dict[str, Tensor], part: Path
) -> AvsnnError | None:
    """Write NIR; return the error where that fails, as the rest is published all the same."""
    try:
        if rows:
            raise refusal(name, rows)
        (example,) = inputs.values()
        write_nir(small, example.float(), part / NIR)
    except AvsnnError as error:
        return error
    return None


def _kept(small: nn.Module) -> list[dict[str, str]]:
    """Return the norms that stay, each with the reason."""
    rows = []
    for name, module in small.named_modules():
        if isinstance(module, nn.LayerNorm | VariantLayerNorm):
            why = "its variance is that of each input, so it is no affine map"
        elif isinstance(module, DSLN):
            why = "its output is not taken by one linear layer alone"
        elif isinstance(module, BatchNorm):
            why = "its input is not the output of a convolution or a linear layer"
        else:
            continue
        rows.append({"norm": name, "type": type(module).__name__, "why": why})
    return rows


def _settings(recipe: Recipe, plan: DataPlan, inputs: dict[str, Tensor]) -> dict[str, Any]:
    """Return all arguments of the model as plain JSON."""
    build = registry.load_module("model", recipe.model.name).build
    section = recipe.model.model_dump(mode="json")
    settings = {k: section[k] for k in keyword_only(build) if k in section}
    channels = {f"{name}_channels": x.shape[-3] for name, x in inputs.items()}
    return {"classes": len(plan.manifest.classes), **channels, **settings}


def _input(plan: DataPlan, recipe: Recipe, name: str, x: Tensor) -> dict[str, Any]:
    """Describe an input: feature, settings, unit, (x - mean) / sd by channel, axes and shape."""
    cache = plan.caches[name]
    origin = cache_receipt(cache).made_from
    described: dict[str, Any] = {
        "feature": origin.feature,
        "settings": origin.settings,
        "unit": registry.load_module("feature", origin.feature).UNIT,
        "normalise": statistics_used(cache.section, origin.statistics).model_dump(),
        "axes": "B C H W" if x.dim() == 4 else "T B C H W",
        # the batch axis is open
        "shape": [None if axis == x.dim() - 4 else n for axis, n in enumerate(x.shape)],
        "dtype": "float32",
    }
    if name == "visual" and recipe.visual is not None:
        described["centre_crop"] = list(recipe.visual.size)
    return described
