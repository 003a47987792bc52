"""Spiking convolutions and the residual block that fires after the addition (SMLP Sec. IV-C)."""

from collections.abc import Callable
from typing import Literal

from torch import Tensor, nn

from pipelines.errors import UsageError
from pipelines.snn.patch_splitting import StaticBatchNorm
from pipelines.snn.snntorch_leaky import Leaky

Order = Literal["lif-before-bn", "lif-after-bn"]


class SpikingConv(nn.Module):
    """Conv - LIF - BN, or Conv - BN - LIF; padded so that a stride of 1 keeps height and width."""

    def __init__(
        self,
        before: int,
        after: int,
        neuron: Leaky,
        *,
        order: Order,
        kernel: int = 3,
        stride: int = 1,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, after, kernel, stride, kernel // 2, bias=False)
        self.norm = StaticBatchNorm(after)
        self.lif = neuron
        self.order = order

    def forward(self, x: Tensor) -> Tensor:
        """x: (T*B, before, H, W) to (T*B, after, H/stride, W/stride)."""
        currents = self.conv(x)
        out: Tensor = (
            self.norm(self.lif(currents))
            if self.order == "lif-before-bn"
            else self.lif(self.norm(currents))
        )
        return out

    def forward_static(self, x: Tensor) -> Tensor:
        """x: (B, before, H, W), the same at every step, convolved once; returns as forward."""
        currents = self.conv(x)
        if self.order == "lif-before-bn":
            # the norm sees spikes, which differ between steps: only the convolution is shared
            out: Tensor = self.norm(self.lif(currents, static=True))
        else:
            normed = self.norm.forward_copies(currents, self.lif.time_steps)
            out = self.lif(normed, static=True)
        return out


class ResidualBlock(nn.Module):
    """ActAfterAddition: LIF(x' + BN(Conv(BN(LIF(Conv(x)))))), x' = x or BN(Conv1x1(x)) (Fig. 3).

    order: "lif-after-bn" swaps the first LIF and BN (Table III). lif_before_add: both ways, through
    the convolutions and around them, also fire before they are added (Table III).
    """

    def __init__(
        self,
        before: int,
        after: int,
        stride: int,
        neuron: Callable[[], Leaky],
        *,
        order: Order = "lif-before-bn",
        lif_before_add: bool = False,
    ) -> None:
        super().__init__()
        self.first = SpikingConv(before, after, neuron(), order=order, stride=stride)
        self.conv = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(after)
        # x' of Fig. 3: a 1x1 convolution where x does not have the block's shape
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or before != after:
            self.shortcut = nn.Sequential(
                nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after)
            )
        self.through_lif = neuron() if lif_before_add else nn.Identity()
        self.around_lif = neuron() if lif_before_add else nn.Identity()
        self.lif = neuron()

    def forward(self, x: Tensor) -> Tensor:
        """x: (T*B, before, H, W) to spikes (T*B, after, H/stride, W/stride)."""
        through = self.through_lif(self.norm(self.conv(self.first(x))))
        around = self.around_lif(self.shortcut(x))
        # after the addition, so that a block passes on spikes and not sums (ActAfterAddition)
        spikes: Tensor = self.lif(through + around)
        return spikes


def encode(x: Tensor, first: SpikingConv) -> Tensor:
    """Run a network's first layer on (B, C, H, W), or (T, B, C, H, W), to (T*B, ...).

    Raises UsageError where x has other steps than the network.
    """
    if x.dim() == 4:
        return first.forward_static(x)
    if len(x) != first.lif.time_steps:
        raise UsageError(
            f"the input has {len(x)} time steps, the network {first.lif.time_steps}",
            "give the model and its input the same time_steps",
        )
    out: Tensor = first(x.flatten(0, 1))
    return out
