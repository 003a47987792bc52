"""Fold norms into the layers beside them: the same function with less work.

A batch norm goes into the layer before it, a DSLN into the linear layer behind it.
"""

import copy
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from pipelines.snn.dsln import DSLN
from pipelines.snn.dsln_folding import fold_before

Layer = nn.Conv2d | nn.Linear
Norm = nn.BatchNorm1d | nn.BatchNorm2d


class Folded(nn.Identity):
    """Stands where a norm was; takes copies as `StaticBatchNorm` does."""

    def forward_copies(self, x: Tensor, _copies: int) -> Tensor:
        """Return x (B, C, H, W)."""
        return x


def folded(
    model: nn.Module, inputs: dict[str, Tensor]
) -> tuple[nn.Module, dict[str, str], list[str]]:
    """Return a copy in evaluation mode, its norms in the layers beside them where that is exact.

    inputs: any inputs of the network, which show what follows what: a batch norm folds if what it
    takes is what a convolution or linear layer gave, a DSLN if a linear layer takes what it gave.
    A batch norm that comes after a neuron stays. Returns the copy, the layer of each norm that was
    folded, and the names of the norms that were kept. What else a layer's output may serve is not
    looked at: compare the two with `difference`.
    """
    found = copy.deepcopy(model).eval()
    after = _followers(copy.deepcopy(found), inputs, Layer, Norm)
    before = {n: m for m, n in _followers(copy.deepcopy(found), inputs, DSLN, nn.Linear).items()}
    for norm_name, layer_name in before.items():
        norm, layer = found.get_submodule(norm_name), found.get_submodule(layer_name)
        assert isinstance(norm, DSLN) and isinstance(layer, nn.Linear)
        found.set_submodule(layer_name, fold_before(norm, layer))
        found.set_submodule(norm_name, Folded())
    for norm_name, layer_name in after.items():
        layer, norm = found.get_submodule(layer_name), found.get_submodule(norm_name)
        assert isinstance(norm, Norm)
        if isinstance(layer, nn.Conv2d):
            found.set_submodule(layer_name, fuse_conv_bn_eval(layer, norm))
        elif isinstance(layer, nn.Linear):
            found.set_submodule(layer_name, fuse_linear_bn_eval(layer, norm))
        found.set_submodule(norm_name, Folded())
    kept = [name for name, module in found.named_modules() if isinstance(module, Norm | DSLN)]
    return found, before | after, kept


def difference(one: nn.Module, other: nn.Module, inputs: dict[str, Tensor]) -> float:
    """Return the largest difference of two networks' answers, in float64, in evaluation mode."""
    given = {name: x.double() for name, x in inputs.items()}
    with torch.no_grad():
        first, second = (copy.deepcopy(m).double().eval()(**given) for m in (one, other))
    return apart(first, second)


def apart(one: Iterable[Any], other: Iterable[Any]) -> float:
    """Return the largest difference of two `Output`s in any of their tensors; NaN if one has it."""
    pairs = [(a, b) for a, b in zip(one, other, strict=True) if isinstance(a, Tensor)]
    return float(torch.stack([(a - b).abs().max() for a, b in pairs]).max())


def _followers(
    model: nn.Module, inputs: dict[str, Tensor], givers: Any, takers: Any
) -> dict[str, str]:
    """Run a network and see whose output each taker takes: taker to giver, by name.

    givers, takers: types of modules.
    """
    given: list[tuple[str, Tensor]] = []  # kept alive, so that no address is used twice
    found: dict[str, str] = {}

    def gives(name: str) -> Callable[..., None]:
        def hook(_module: nn.Module, _taken: Any, output: Tensor) -> None:
            given.append((name, output))

        return hook

    def takes(name: str, forward: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        def observed(x: Tensor) -> Tensor:
            for layer, output in given:
                if output.data_ptr() == x.data_ptr() and output.numel() == x.numel():
                    found[name] = layer
            return forward(x)

        return observed

    for name, module in model.named_modules():
        if isinstance(module, givers):
            module.register_forward_hook(gives(name))
        elif isinstance(module, takers):
            # not a hook: `forward_copies` calls forward itself
            module.forward = takes(name, module.forward)
    with torch.no_grad():
        model(**inputs)
    return found
