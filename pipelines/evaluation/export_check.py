"""Check that an exported network is the run's: in float64 before writing, in float32 after.

float64 separates an error from rounding: two equal networks differ by far less than TOLERANCE.
"""

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

    Raises UsageError for a network whose outputs for the same clips differ from call to call.
    """
    differences = []
    for inputs in batches:
        output = _output(exact, inputs)
        # else a random choice would be reported as an error of folding
        if apart(output, _output(exact, inputs)) > TOLERANCE:
            raise _not_repeatable(exact)
        differences.append(apart(output, _output(small, inputs)))
    worst = float(np.max(differences))
    if not worst <= TOLERANCE:  # NaN as well
        raise AvsnnError(
            f"folding changes the network's outputs by {worst:.3g} in float64, more than "
            f"{TOLERANCE:g}; nothing was written",
            "train the run again if its weights are not finite; otherwise report a bug",
        )
    return {"float64_difference": worst, "float64_tolerance": TOLERANCE}


def same(
    small: nn.Module, back: nn.Module, tensors: dict[str, Tensor], inputs: dict[str, Tensor]
) -> None:
    """Compare the network read back with the one written. Raises AvsnnError if they differ."""
    state = back.state_dict()
    if not all(torch.equal(state[name], x) for name, x in tensors.items()):
        raise AvsnnError("the weights read back differ from those written; nothing was published")
    written, read = (copy.deepcopy(m).double() for m in (small, back))
    if not apart(_output(written, inputs), _output(read, inputs)) <= TOLERANCE:
        raise AvsnnError("the outputs of the network read back differ; nothing was published")


def rounded(model: nn.Module, back: nn.Module, clips: list[Clips]) -> dict[str, Any]:
    """Compare the run's network with the exported one in float32, as they will be used."""
    model = copy.deepcopy(model).float().eval()
    worst, changed, before, after, n = 0.0, 0, 0, 0, 0
    for inputs, labels in clips:
        of_run, exported = (_output(m, floats(inputs)) for m in (model, back))
        first, second = of_run.logits.argmax(1), exported.logits.argmax(1)
        worst = max(worst, apart(of_run, exported))
        changed += int((first != second).sum())
        before += int((first == labels).sum())
        after += int((second == labels).sum())
        n += len(labels)
    return {
        "split": "test",
        "clips": n,
        "float32_difference": worst,
        "float32_predictions_changed": changed,
        "accuracy": {"before": before / n, "after": after / n},
    }


def floats(inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return inputs in float32."""
    return {name: x.float() for name, x in inputs.items()}


def _not_repeatable(network: nn.Module) -> UsageError:
    """Return the error for a random network; its hint names the settings that are "random"."""
    name = type(network).__module__.rpartition(".")[2].replace("_", "-")  # the name of its file
    drawn = [f"model.{key}" for key, value in vars(network).items() if value == "random"]
    return UsageError(
        f"{name} answers the same clips differently each time: it cannot be exported",
        f"train it with {' and '.join(drawn)} other than random" if drawn else "",
    )


def _output(network: nn.Module, inputs: dict[str, Tensor]) -> Output:
    with torch.no_grad():
        output: Output = network(**inputs)
    return output
