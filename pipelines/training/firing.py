"""Firing rates: the share of neuron-steps that spike, by layer, and of the fusion branch."""

import contextlib
from collections.abc import Callable, Iterator

from torch import Tensor, nn

from pipelines.snn.attention import CrossModalResidual
from pipelines.snn.lif import LIF
from pipelines.snn.snntorch_leaky import Leaky


@contextlib.contextmanager
def record_rates(model: nn.Module) -> Iterator[dict[str, Tensor]]:
    """Sum, while the context lasts, each layer's share of non-zero outputs over forward passes.

    Layers are those of LIF and leaky neurons, and the cross-modal residuals (the fusion branch,
    which is silent in a fresh network). Yields a dict of scalar tensors; divide by the number of
    passes.
    """
    sums: dict[str, Tensor] = {}
    handles = []
    for name, module in model.named_modules():
        if isinstance(module, CrossModalResidual | LIF | Leaky):
            handles.append(module.register_forward_hook(_adder(sums, name)))
    try:
        yield sums
    finally:
        for handle in handles:
            handle.remove()


def _adder(sums: dict[str, Tensor], name: str) -> Callable[[nn.Module, object, Tensor], None]:
    def add(_module: nn.Module, _inputs: object, output: Tensor) -> None:
        rate = output.detach().count_nonzero() / output.numel()
        sums[name] = sums[name] + rate if name in sums else rate

    return add
