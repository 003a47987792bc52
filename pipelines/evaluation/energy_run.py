"""The theoretical energy of a trained run, on test clips: published as energy.json."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pipelines.cache.receipts import clips_of
from pipelines.evaluation.energy import energy
from pipelines.evaluation.evaluate import provenance, trained_model
from pipelines.plan.plan import DataPlan
from pipelines.recipe.recipe import Recipe
from pipelines.results import run_files
from pipelines.training.batches import evenly, loader, open_split
from pipelines.training.infer import by_name
from pipelines.training.inputs import Inputs

BATCH = 16


def energy_of_run(
    recipe: Recipe, plan: DataPlan, run: Path, device: torch.device, samples: int
) -> dict[str, Any]:
    """Count a trained run's operations on test clips, evenly spread over the test set.

    samples: how many clips, at most all. The densities are those clips'. Publishes energy.json.
    """
    model, trained = trained_model(recipe, plan, run, device)
    split = open_split(plan, clips_of(plan), "test")
    chosen = evenly(len(split), samples)
    batches, inputs = loader(split, recipe, device), Inputs(recipe, plan, device)

    def given() -> Iterator[dict[str, Tensor]]:
        for batch in batches([chosen[i : i + BATCH] for i in range(0, len(chosen), BATCH)]):
            yield by_name(*inputs.for_evaluation(batch))

    found = energy(model, given())
    result = {**provenance(recipe, plan, trained, len(chosen)), **found, "asked": samples}
    return run_files.publish(run / "energy.json", run_files.Energy, result)
