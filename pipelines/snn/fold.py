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
BatchNorm = nn.BatchNorm1d | nn.BatchNorm2d


class Folded(nn.Identity):
    """Stands where a norm was; has `forward_copies`, as `StaticBatchNorm` has."""

    def forward_copies(self, x: Tensor, _copies: int) -> Tensor:
        """Return x (B, C, H, W)."""
        return x


def folded(
    model: nn.Module, inputs: dict[str, Tensor]
) -> tuple[nn.Module, dict[str, str], list[str]]:
    """Return a copy in evaluation mode, its norms in the layers beside them where that is exact.

    inputs: any inputs of the network; one pass shows what follows what. A batch norm folds if its
    input is the output of a convolution or linear layer, a DSLN if its output is the input of a
    linear layer. A batch norm that comes after a neuron stays. Returns the copy, the layer of each
    norm that was folded, and the names of the norms that were kept. Whether a layer's output is
    read elsewhere too is not checked: compare the two networks with `difference`.
    """
    network = copy.deepcopy(model).eval()
    # on copies, for `_followers` replaces forward methods; before any norm has moved
    after = _followers(copy.deepcopy(network), inputs, Layer, BatchNorm)
    dslns = _followers(copy.deepcopy(network), inputs, DSLN, nn.Linear)
    before = {norm: layer for layer, norm in dslns.items()}
    for norm_name, layer_name in before.items():
        norm, layer = network.get_submodule(norm_name), network.get_submodule(layer_name)
        assert isinstance(norm, DSLN) and isinstance(layer, nn.Linear)
        network.set_submodule(layer_name, fold_before(norm, layer))
        network.set_submodule(norm_name, Folded())
    for norm_name, layer_name in after.items():
        layer, norm = network.get_submodule(layer_name), network.get_submodule(norm_name)
        assert isinstance(norm, BatchNorm)
        if isinstance(layer, nn.Conv2d):
            network.set_submodule(layer_name, fuse_conv_bn_eval(layer, norm))
        elif isinstance(layer, nn.Linear):
            network.set_submodule(layer_name, fuse_linear_bn_eval(layer, norm))
        network.set_submodule(norm_name, Folded())
    kept = [
        name for name, module in network.named_modules() if isinstance(module, BatchNorm | DSLN)
    ]
    return network, before | after, kept


def difference(first: nn.Module, second: nn.Module, inputs: dict[str, Tensor]) -> float:
    """Return the largest difference of two networks' outputs, in float64, in evaluation mode."""
    # float64: in float32 a rounded charge at the threshold flips a spike, which is not an error
    doubles = {name: x.double() for name, x in inputs.items()}
    with torch.no_grad():
        outputs = [copy.deepcopy(m).double().eval()(**doubles) for m in (first, second)]
    return apart(*outputs)


def apart(first: Iterable[Any], second: Iterable[Any]) -> float:
    """Return the largest difference of two `Output`s in any of their tensors; NaN if one has it."""
    pairs = [(a, b) for a, b in zip(first, second, strict=True) if isinstance(a, Tensor)]
    return float(torch.stack([(a - b).abs().max() for a, b in pairs]).max())


def _followers(
    model: nn.Module, inputs: dict[str, Tensor], producers: Any, consumers: Any
) -> dict[str, str]:
    """Run a network and return which producer's output each consumer reads: consumer to producer.

    producers, consumers: types of modules. Both are named as in `named_modules`.
    """
    outputs: list[tuple[str, Tensor]] = []  # kept alive, so that no address is used twice
    producer_of: dict[str, str] = {}

    def produces(name: str) -> Callable[..., None]:
        def hook(_module: nn.Module, _args: Any, output: Tensor) -> None:
            outputs.append((name, output))

        return hook

    def consumes(name: str, forward: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        def observed(x: Tensor) -> Tensor:
            # by address: a view between the two, such as a flatten, changes shape and not memory
            for producer, output in outputs:
                if output.data_ptr() == x.data_ptr() and output.numel() == x.numel():
                    producer_of[name] = producer
            return forward(x)

        return observed

    for name, module in model.named_modules():
        if isinstance(module, producers):
            module.register_forward_hook(produces(name))
        elif isinstance(module, consumers):
            # not a hook: `forward_copies` calls forward itself
            module.forward = consumes(name, module.forward)
    with torch.no_grad():
        model(**inputs)
    return producer_of
