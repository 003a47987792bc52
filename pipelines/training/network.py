"""A recipe's network, as training, evaluation and all that loads weights build and call it."""

from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from pipelines import device as machine
from pipelines import registry
from pipelines.cache.receipts import open_rows
from pipelines.errors import RecipeError
from pipelines.plan.data_plan import DataPlan
from pipelines.recipe.recipe import Recipe
from pipelines.recipe.settings_from_signature import keyword_arguments
from pipelines.training.inputs import wants_channels_last


def build_model(recipe: Recipe, plan: DataPlan, device: torch.device) -> nn.Module:
    """Build the recipe's network with weights seeded by the recipe's seed, on the device."""
    channels = {}
    for modality, cache in plan.caches.items():
        with open_rows(cache, "train") as rows:
            channels[f"{modality}_channels"] = rows.row_shape[-3]
    build = registry.load_module("model", recipe.model.name).build
    torch.manual_seed(recipe.seed)
    try:
        model: nn.Module = build(
            classes=len(plan.manifest.classes),
            **channels,
            **keyword_arguments(build, recipe.model),
        )
    except (ValueError, TypeError) as error:
        raise RecipeError(f"{recipe.path}: model: {error}") from error
    layout = torch.channels_last if wants_channels_last(recipe) else torch.contiguous_format
    return model.to(device, memory_format=layout)  # type: ignore[call-overload,no-any-return]


def autocast_of(recipe: Recipe, device: torch.device) -> Callable[[], torch.autocast]:
    """Return the context of the forward pass: bfloat16 if asked for, or fast here and "auto"."""
    wish = recipe.train.precision
    low = wish == "bf16" or (wish == "auto" and machine.fast_bfloat16(device))
    return partial(torch.autocast, device.type, dtype=torch.bfloat16, enabled=low)
