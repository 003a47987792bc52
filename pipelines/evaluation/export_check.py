"""That an exported network is the run's: in float64 before it is written, in float32 after."""

import copy
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from pipelines.ann.output import Output
from pipelines.errors import AvsnnError, UsageError
from pipelines.snn.fold import apart

TOLERANCE = 1e-10


class Clips(NamedTuple):
    """A batch of a run's clips: inputs as the network takes them, by name, and labels (B,)."""

    inputs: dict[str, Tensor]
    labels: Tensor


def checked(exact: nn.Module, small: nn.Module, batches: list[dict[str, Tensor]]) -> dict[str, Any]:
    """Compare two networks in float64. Raises AvsnnError above the tolerance, or for NaN.

    Raises UsageError for a network that does not answer the same clips alike.
    """
    differences = []
    for inputs in batches:
        answer = _answer(exact, inputs)
        if apart(answer, _answer(exact, inputs)) > TOLERANCE:
            raise _not_repeatable(exact)
        differences.append(apart(answer, _answer(small, inputs)))
    worst = float(np.max(differences))
    if not worst <= TOLERANCE:
        raise AvsnnError(
            f"folding changes the network's answers by {worst:.3g} in float64, more than "
            f"{TOLERANCE:g}; nothing was written",
            "train the run again if its weights are not finite, else report a bug",
        )
    return {"float64_difference": worst, "float64_tolerance": TOLERANCE}


def same(
    small: nn.Module, back: nn.Module, tensors: dict[str, Tensor], inputs: dict[str, Tensor]
) -> None:
    """Compare what was read back with what was written. Raises AvsnnError."""
    found = back.state_dict()
    if not all(torch.equal(found[name], x) for name, x in tensors.items()):
        raise AvsnnError("the weights read back are not those written; nothing was published")
    one, other = (copy.deepcopy(m).double() for m in (small, back))
    if not apart(_answer(one, inputs), _answer(other, inputs)) <= TOLERANCE:
        raise AvsnnError("the network read back answers otherwise; nothing was published")


def rounded(model: nn.Module, back: nn.Module, clips: list[Clips]) -> dict[str, Any]:
    """Say what float32 does: the run's network beside the exported one, as they will be used."""
    model = copy.deepcopy(model).float().eval()
    worst, changed, before, after, n = 0.0, 0, 0, 0, 0
    for inputs, labels in clips:
        one, other = (_answer(m, floats(inputs)) for m in (model, back))
        first, second = one.logits.argmax(1), other.logits.argmax(1)
        worst = max(worst, apart(one, other))
        changed += int((first != second).sum())
        before += int((first == labels).sum())
        after += int((second == labels).sum())
        n += len(labels)
    return {
        "split": "test", "clips": n, "float32_difference": worst,
        "float32_predictions_changed": changed,
        "accuracy": {"before": before / n, "after": after / n},
    }  # fmt: skip


def floats(inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return inputs in float32."""
    return {name: x.float() for name, x in inputs.items()}


def _not_repeatable(network: nn.Module) -> UsageError:
    """Say that a network draws its answers, and by which setting where its value says so."""
    name = type(network).__module__.rpartition(".")[2].replace("_", "-")  # as its file
    drawn = [f"model.{key}" for key, value in vars(network).items() if value == "random"]
    return UsageError(
        f"{name} answers the same clips differently each time: it cannot be exported",
        f"train it with another {' and '.join(drawn)} than random" if drawn else "",
    )


def _answer(network: nn.Module, inputs: dict[str, Tensor]) -> Output:
    with torch.no_grad():
        output: Output = network(**inputs)
    return output
