"""Spiking patch splitting (SPS): images or spectrograms to spiking tokens (S-CMRL Eq. 6)."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from pipelines.snn.lif import LIF


class StaticBatchNorm(nn.BatchNorm2d):
    """Batch norm that can stand for one over T equal copies of its input.

    The copies have the same mean and biased variance; only the running variance, which is
    unbiased, counts T times as many values. `forward_copies` puts that right.
    """

    def forward_copies(self, x: Tensor, copies: int) -> Tensor:
        """Normalise x (B, C, H, W) as if it stood `copies` times in the batch."""
        if not (self.training and self.track_running_stats):
            return self.forward(x)
        assert self.running_var is not None and self.momentum is not None
        kept = self.running_var * (1 - self.momentum)  # the old share; what is added after is new
        out = self.forward(x)
        n = x.numel() // x.shape[1]
        if n > 1:
            # n values gave n / (n - 1) var; T n values would give T n / (T n - 1) var
            unbiased = (n - 1) / n * (copies * n) / (copies * n - 1)
            # a new tensor: the backward pass still holds the old one
            self.running_var = kept + (self.running_var - kept) * unbiased
        return out


class Stage(nn.Module):
    """Conv3x3 - BN - LIF - MaxPool(3, stride 2, pad 1): halves height and width."""

    def __init__(self, channels: int, width: int, neuron: LIF) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        self.norm = StaticBatchNorm(width)
        self.lif = neuron
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """x: (T*B, C, H, W) to (T*B, width, H/2, W/2)."""
        out: Tensor = self.pool(self.lif(self.norm(self.conv(x))))
        return out

    def forward_static(self, x: Tensor) -> Tensor:
        """x: (B, C, H, W), the same at every step; convolution and norm run once, not T times."""
        current = self.norm.forward_copies(self.conv(x), self.lif.time_steps)
        out: Tensor = self.pool(self.lif(current, static=True))
        return out


class PatchSplitting(nn.Module):
    """SPS: stages of widths D/2^(stages-1) … D, then a position term added to its own input.

    channels: of the input. width: D. stages: 4 as published, 2 for 28 x 28 event frames.
    neuron: returns the LIF of one layer.
    """

    def __init__(self, channels: int, width: int, stages: int, neuron: Callable[[], LIF]) -> None:
        super().__init__()
        # D/8, D/4, D/2, D for four stages
        widths = [width >> (stages - 1 - i) for i in range(stages)]
        self.stages = nn.ModuleList(
            Stage(before, after, neuron())
            for before, after in zip([channels, *widths], widths, strict=False)
        )
        self.position_conv = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.position_norm = nn.BatchNorm2d(width)
        self.position_lif = neuron()

    def forward(self, x: Tensor) -> Tensor:
        """Split into tokens.

        x: (B, C, H, W), static, or (T, B, C, H, W). Returns (T, B, N, D), N = H W / 4^stages.
        """
        first = self.stages[0]
        assert isinstance(first, Stage)
        time_steps = first.lif.time_steps
        # a static input is repeated in the first neuron, not before it
        x = first.forward_static(x) if x.dim() == 4 else first(x.flatten(0, 1))
        for stage in list(self.stages)[1:]:
            x = stage(x)
        x = x + self.position_lif(self.position_norm(self.position_conv(x)))
        # (T B, D, H, W) to (T B, N, D) to (T, B, N, D)
        return torch.unflatten(x.flatten(2).transpose(1, 2), 0, (time_steps, -1))
