"""Run a network over a split without learning: predictions, loss, firing rates."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from pipelines.ann.output import Output, Targets
from pipelines.recipe.recipe import Recipe
from pipelines.snn.doa import Errors, decode, errors
from pipelines.training.batches import Batch, Split, in_order
from pipelines.training.firing import record_rates

Prepare = Callable[[Batch], tuple[Tensor | None, Tensor | None]]


class Predictions(NamedTuple):
    """labels, predictions: (n,) int64. probabilities: (n, classes) float32. loss: mean CE.

    objective: mean of the network's own loss, if asked for; a loss over pairs of clips depends on
    the batches. rates: mean firing rate by layer, in 0-1. azimuth_deg: (n,) float32 in [0, 360), if
    the network predicts the direction of a sound; doa: its errors, if the clips have directions.
    """

    labels: np.ndarray
    predictions: np.ndarray
    probabilities: np.ndarray
    loss: float
    rates: dict[str, float]
    azimuth_deg: np.ndarray | None = None
    doa: Errors | None = None
    objective: float | None = None

    @property
    def accuracy(self) -> float:
        """Share of right predictions."""
        return float((self.labels == self.predictions).mean())


def by_name(audio: Tensor | None, visual: Tensor | None) -> dict[str, Tensor]:
    """Return the modalities that are not None, by their names in a network's forward."""
    return {name: x for name, x in (("audio", audio), ("visual", visual)) if x is not None}


def call(model: nn.Module, audio: Tensor | None, visual: Tensor | None) -> Output:
    """Call a network with the modalities that the recipe has."""
    output: Output = model(**by_name(audio, visual))
    return output


def predict(
    model: nn.Module,
    split: Split,
    batches: Callable[[list[np.ndarray]], Iterator[Batch]],
    prepare: Prepare,
    recipe: Recipe,
    autocast: Callable[[], torch.autocast],
    *,
    objective: bool = False,
) -> Predictions:
    """Predict every clip of a split, in the manifest's order, in evaluation mode."""
    model.eval()
    learned_by = torch.zeros((), dtype=torch.float64)
    logits: list[Tensor] = []
    azimuths: list[Tensor] = []
    order = in_order(len(split), recipe.train.batch_size)
    with torch.no_grad(), record_rates(model) as sums:
        for batch in batches(order):
            # outside autocast: features of noisy sounds are computed in float32, as the cached ones
            prepared = prepare(batch)
            with autocast():
                output = call(model, *prepared)
                if objective:
                    targets = Targets(batch.labels, batch.azimuth_deg)
                    loss = model.loss(output, targets)  # type: ignore[operator]
                    learned_by = learned_by.to(loss.device) + loss.double() * len(batch.labels)
            logits.append(output.logits.float())
            if output.azimuth is not None:
                azimuths.append(decode(output.azimuth))
    together = torch.cat(logits)
    labels = torch.from_numpy(split.labels).to(together.device)
    return Predictions(
        split.labels,
        together.argmax(1).cpu().numpy(),
        together.softmax(1).cpu().numpy(),
        float(nn.functional.cross_entropy(together, labels)),
        {name: float(total) / len(order) for name, total in sums.items()},
        *_directions(azimuths, split),
        float(learned_by) / len(split) if objective else None,
    )


def _directions(azimuths: list[Tensor], split: Split) -> tuple[np.ndarray | None, Errors | None]:
    if not azimuths:
        return None, None
    predicted = torch.cat(azimuths).cpu()
    if split.azimuth_deg is None:
        return predicted.numpy(), None
    return predicted.numpy(), errors(predicted, torch.from_numpy(split.azimuth_deg))
