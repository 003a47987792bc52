"""Start training from the weights of earlier runs, and freeze parts of a network."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from pipelines import registry
from pipelines.cache.receipts import clips_of
from pipelines.disk import store
from pipelines.errors import DataError, RecipeError
from pipelines.plan.data_plan import DataPlan
from pipelines.plan.plan import check_same_data, plan_data
from pipelines.plan.run_code import check_same_code
from pipelines.recipe import recipe as recipes
from pipelines.recipe.recipe import Recipe
from pipelines.results import run_files, schemas
from pipelines.training import checkpoint

NORM_STATISTICS = ("running_mean", "running_var", "running_variance", "num_batches_tracked")


def begin_from(model: nn.Module, recipe: Recipe, plan: DataPlan) -> list[dict[str, Any]]:
    """Copy the weights of the runs in `train.start_from` into a network, in their order.

    A weight, or a norm's running mean or variance, is copied where its name and shape fit; what
    else a network keeps, such as a count of its steps, begins anew. A branch of a network with two
    modalities becomes a network of one, and the other way round, by the modality that its names
    begin with: `audio.patches.x` is `patches.x` of a network that only hears. Returns a row a run:
    its name, the weights' sha256, how many tensors were copied. Raises DataError where none of
    them fits, where a part of `train.freeze` would stay as random as it is, and where a run has
    learned from clips that are test clips here.
    """
    own, copied = _learned(model), []
    random = set(own)
    for name in recipe.train.start_from:
        run = store.home() / "runs" / name
        trained = run_files.read_result(run / "trained.json", schemas.Trained)
        weights = checkpoint.load_weights(run / "best.safetensors", trained["sha256"])
        source = recipes.load_recipe(run / "recipe.yaml", with_model=False)
        _check_no_leak(source, run, plan)
        renamed = _renamed(weights, _modalities(source), _modalities(recipe))
        fit = {k: v for k, v in renamed.items() if k in own and own[k].shape == v.shape}
        if not any(tensor.dim() > 1 for tensor in fit.values()):  # counters fit anywhere
            raise DataError(
                f"train.start_from: no weight of {name} fits this network",
                "give a run whose network has the same settings",
            )
        model.load_state_dict(fit, strict=False)
        random -= set(fit)
        copied.append(
            {"run": name, "sha256": trained["sha256"], "tensors": len(fit), "of": len(own)}
        )
    frozen = tuple(f"{name}." for name in recipe.train.freeze)
    if copied and (left := [name for name in own if name in random and name.startswith(frozen)]):
        raise DataError(
            f"train.freeze: {left[0]} and {len(left) - 1} more were not in the runs of "
            "train.start_from: they would stay random",
            "give a run whose network has the same settings, or freeze less",
        )
    return copied


def _learned(model: nn.Module) -> dict[str, Tensor]:
    """Return the learned part of a network's state: weights, and the statistics of norms."""
    parameters = dict(model.named_parameters())
    return {
        name: tensor
        for name, tensor in model.state_dict().items()
        if name in parameters or name.rpartition(".")[2] in NORM_STATISTICS
    }


def _check_no_leak(source: Recipe, run: Path, plan: DataPlan) -> None:
    """Raise DataError for a run that was trained or selected on clips that are test clips here."""
    theirs = plan_data(source)
    check_same_code(run, source, theirs)
    check_same_data(run, theirs)
    # in another folder of the user's the same names are other files
    elsewhere = (theirs.is_local or plan.is_local) and theirs.raw != plan.raw
    if theirs.clips == plan.clips or elsewhere:
        return
    learned = [clip for clip in clips_of(theirs) if clip.split != "test"]
    test = [clip for clip in clips_of(plan) if clip.split == "test"]
    sources = {m: {getattr(clip, m) for clip in learned} - {""} for m in _modalities(source)}
    leaked = sum(any(getattr(clip, m) in sources[m] for m in sources) for clip in test)
    if leaked:
        raise DataError(
            f"train.start_from: {run.name} has learned from {leaked} of the {len(test)} test clips",
            "give a run with the same section data: the same protocol and data.seed",
        )


def frozen_parts(model: nn.Module, names: Sequence[str]) -> list[nn.Module]:
    """Take parts of a network out of training; call eval() on them after each model.train().

    names: of modules, such as audio.features. Raises RecipeError for one that is not there.
    """
    modules = dict(model.named_modules())
    parts = []
    for name in names:
        if name not in modules or not name:
            raise RecipeError(
                f"train.freeze: the network has no part {name!r}",
                registry.closest(name, [known for known in modules if known]),
            )
        parts.append(modules[name].requires_grad_(False))
    if not any(p.requires_grad for p in model.parameters()):
        raise RecipeError("train.freeze: nothing is left to train", "freeze less")
    return parts


def _modalities(recipe: Recipe) -> list[str]:
    return [m for m in ("audio", "visual") if getattr(recipe, m) is not None]


def _renamed(weights: dict[str, Tensor], source: list[str], target: list[str]) -> dict[str, Tensor]:
    if len(source) > len(target):
        (modality,) = target
        return {
            k.removeprefix(f"{modality}."): v
            for k, v in weights.items()
            if k.startswith(f"{modality}.")
        }
    if len(source) < len(target):
        return {f"{source[0]}.{k}": v for k, v in weights.items()}
    return weights
