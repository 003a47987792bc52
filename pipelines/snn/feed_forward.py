"""The spiking MLP of a Spikformer block."""

from collections.abc import Callable

from torch import Tensor, nn

from pipelines.snn.attention import SpikingLinear
from pipelines.snn.lif import LIF


class FeedForward(nn.Module):
    """x + SN(BN(Linear(SN(BN(Linear(x)))))), hidden width = ratio * D (S-CMRL Eq. 9)."""

    def __init__(self, width: int, neuron: Callable[[], LIF], ratio: int = 4) -> None:
        super().__init__()
        self.expand = SpikingLinear(width, ratio * width, neuron(), bias=True)
        self.contract = SpikingLinear(ratio * width, width, neuron(), bias=True)

    def forward(self, x: Tensor) -> Tensor:
        """x: (T, B, N, D) to the same shape."""
        out: Tensor = x + self.contract(self.expand(x))
        return out
