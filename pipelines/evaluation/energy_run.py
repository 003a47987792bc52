"""Compute the theoretical energy of a trained run on test clips, for energy.json."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pipelines.evaluation.energy import energy
from pipelines.evaluation.trained_run import TrainedRun
from pipelines.plan.data_plan import DataPlan
from pipelines.recipe.recipe import Recipe
from pipelines.results import run_files, schemas
from pipelines.training.batches import evenly
from pipelines.training.infer import by_name

BATCH = 16


def energy_of_run(
    recipe: Recipe, plan: DataPlan, run: Path, device: torch.device, samples: int
) -> dict[str, Any]:
    """Count a trained run's operations on test clips, evenly spread over the test set.

    samples: number of clips, at most the whole test set. Publishes energy.json.
    """
    opened = TrainedRun.open(recipe, plan, run, device)
    chosen = evenly(len(opened.split), samples)

    def inputs() -> Iterator[dict[str, Tensor]]:
        for batch in opened.batches([chosen[i : i + BATCH] for i in range(0, len(chosen), BATCH)]):
            yield by_name(*opened.inputs.for_evaluation(batch))

    counted = energy(opened.model, inputs())
    result = {**opened.provenance(len(chosen)), **counted, "asked": samples}
    return run_files.publish(run / "energy.json", schemas.Energy, result)
