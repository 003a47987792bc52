"""Open a trained run: its network with the selected weights, its test clips, its inputs."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from pipelines.cache.receipts import clips_of, clips_receipt
from pipelines.errors import DataError
from pipelines.plan.data_plan import DataPlan
from pipelines.recipe.recipe import Recipe
from pipelines.results import run_files, schemas
from pipelines.training import checkpoint
from pipelines.training.batches import Batch, Split, loader, open_split
from pipelines.training.infer import Predictions, Prepare, predict
from pipelines.training.inputs import Inputs
from pipelines.training.network import autocast_of, build_model


@dataclass(frozen=True)
class TrainedRun:
    """A trained run, as every evaluation takes it.

    folder: of the run. model: on the device, with the weights that validation selected. trained:
    the content of trained.json. The test clips are opened at their first use.
    """

    recipe: Recipe
    plan: DataPlan
    folder: Path
    device: torch.device
    model: nn.Module
    trained: dict[str, Any]

    @classmethod
    def open(
        cls, recipe: Recipe, plan: DataPlan, folder: Path, device: torch.device
    ) -> "TrainedRun":
        """Load the selected weights of a run. Raises DataError if it is not trained or damaged."""
        if not (folder / "trained.json").exists():
            raise DataError(f"{folder} is not trained", "avsnn train RECIPE finishes it")
        trained = run_files.read_result(folder / "trained.json", schemas.Trained)
        model = build_model(recipe, plan, device)
        # the hash in trained.json: weights of another training are refused, not evaluated
        weights = checkpoint.load_weights(folder / "best.safetensors", trained["sha256"])
        checkpoint.put_weights(model, weights, folder / "best.safetensors")
        return cls(recipe, plan, folder, device, model, trained)

    @cached_property
    def split(self) -> Split:
        """Return the test clips."""
        return open_split(self.plan, clips_of(self.plan), "test")

    @cached_property
    def batches(self) -> Callable[[list[np.ndarray]], Iterator[Batch]]:
        """Return the function that makes batches on the device from lists of clip numbers."""
        return loader(self.split, self.recipe, self.device)

    @cached_property
    def inputs(self) -> Inputs:
        """Return what turns batches into the inputs of the network."""
        return Inputs(self.recipe, self.plan, self.device)

    @property
    def classes(self) -> Sequence[str]:
        """Return the names of the classes, in the order of their labels."""
        return self.plan.manifest.classes

    @property
    def autocast(self) -> Callable[[], torch.autocast]:
        """Return the context of the forward pass, as in training."""
        return autocast_of(self.recipe, self.device)

    def predict(self, prepare: Prepare | None = None) -> Predictions:
        """Run the network over the test clips. prepare: makes the inputs, by default clean ones."""
        prepare = prepare or self.inputs.for_evaluation
        return predict(self.model, self.split, self.batches, prepare, self.recipe, self.autocast)

    def provenance(self, n: int) -> dict[str, Any]:
        """Return the origin of a number: data set, protocol, seed, selection rule, n, weights.

        n: number of test clips.
        """
        data = self.recipe.data.model_dump(mode="json")
        return {
            "recipe": self.recipe.name,
            "dataset": data["dataset"],
            "protocol": clips_receipt(self.plan.clips).protocol,
            "seed": self.recipe.seed,
            "data_seed": data.get("seed"),
            "selection": f"{self.trained['rule']} (epoch {self.trained['selected']['epoch']})",
            "split": "test",
            "n": n,
            "weights_sha256": self.trained["sha256"],
            "start_from": [begun["run"] for begun in self.trained.get("start_from", [])],
        }
