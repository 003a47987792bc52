"""Run a network over a split without learning: predictions, loss, firing rates."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from pipelines.recipe import Recipe
from pipelines.training.batches import Batch, Split, in_order
from pipelines.training.firing import record_rates

Prepare = Callable[[Batch], tuple[Tensor | None, Tensor | None]]


class Predictions(NamedTuple):
    """labels, predictions: (n,) int64. probabilities: (n, classes) float32. loss: mean CE.

    rates: mean firing rate by layer, in 0-1.
    """

    labels: np.ndarray
    predictions: np.ndarray
    probabilities: np.ndarray
    loss: float
    rates: dict[str, float]

    @property
    def accuracy(self) -> float:
        """Share of right predictions."""
        return float((self.labels == self.predictions).mean())


def call(model: nn.Module, audio: Tensor | None, visual: Tensor | None) -> "tuple[Tensor, ...]":
    """Call a network with the modalities that the recipe has."""
    given = {"audio": audio, "visual": visual}
    output: tuple[Tensor, ...] = model(**{k: v for k, v in given.items() if v is not None})
    return output


def predict(
    model: nn.Module,
    split: Split,
    batches: Callable[[list[np.ndarray]], Iterator[Batch]],
    prepare: Prepare,
    recipe: Recipe,
    autocast: Callable[[], torch.autocast],
) -> Predictions:
    """Predict every clip of a split, in the manifest's order, in evaluation mode."""
    model.eval()
    logits = []
    order = in_order(len(split), recipe.train.batch_size)
    with torch.no_grad(), record_rates(model) as sums:
        for batch in batches(order):
            with autocast():
                logits.append(call(model, *prepare(batch))[0].float())
    together = torch.cat(logits)
    labels = torch.from_numpy(split.labels).to(together.device)
    return Predictions(
        split.labels,
        together.argmax(1).cpu().numpy(),
        together.softmax(1).cpu().numpy(),
        float(nn.functional.cross_entropy(together, labels)),
        {name: float(total) / len(order) for name, total in sums.items()},
    )
