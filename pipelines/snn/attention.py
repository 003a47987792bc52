"""Spiking attention (S-CMRL Eq. 7) and the cross-modal residual built on it (Eqs 10-16)."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from pipelines.snn.lif import LIF

Axis = Literal["space", "time"]
HeadLayout = Literal["per-head", "scrambled"]
Which = Literal["both", "spatial", "temporal", "none"]


class SpikingLinear(nn.Module):
    """Linear - BN - LIF over tokens."""

    def __init__(self, before: int, after: int, neuron: LIF, *, bias: bool = False) -> None:
        super().__init__()
        self.linear = nn.Linear(before, after, bias=bias)
        self.norm = nn.BatchNorm1d(after)
        self.lif = neuron

    def forward(self, x: Tensor) -> Tensor:
        """x: (T, B, N, before) to spikes (T, B, N, after)."""
        # (T B N, after): BN over steps, clips and positions together, as spikingjelly's step mode m
        currents = self.norm(self.linear(x.flatten(0, 2)))
        spikes: Tensor = self.lif(currents)
        return torch.unflatten(spikes, 0, x.shape[:3])


class SpikingAttention(nn.Module):
    """SN(BN(Linear(SN(Q K^T V s)))) with spiking Q, K, V, and no softmax (S-CMRL Eq. 7).

    axis: the axis of attention, the N positions or the T steps (non-causal).
    head_layout: "per-head", or "scrambled": for axis "time" the authors reshape the result from
        (heads, T, D/heads) to (T, D) without the transposition, which mixes heads with time steps.
    spiking_scores: a neuron on Q K^T (+ offset) before V, as SCA's visual side has.
    """

    def __init__(
        self,
        width: int,
        *,
        heads: int,
        scale: float,
        axis: Axis,
        neuron: Callable[[], LIF],
        head_layout: HeadLayout = "per-head",
        spiking_scores: bool = False,
    ) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width {width} is not a multiple of heads {heads}")
        self.heads, self.scale, self.axis, self.head_layout = heads, scale, axis, head_layout
        self.query = SpikingLinear(width, width, neuron())
        self.key = SpikingLinear(width, width, neuron())
        self.value = SpikingLinear(width, width, neuron())
        self.score_lif = neuron() if spiking_scores else None
        self.attention_lif = neuron()
        self.project = SpikingLinear(width, width, neuron())

    def forward(self, x: Tensor, context: Tensor, offset: Tensor | None = None) -> Tensor:
        """Attend from x to context; both (T, B, N, D), as is the result. Self: context = x.

        offset: added to Q K^T before the neuron of the scores, broadcast to its shape.
        """
        # each (T, B, h, N, d), or (B, N, h, T, d) over time
        query, key, value = (
            self._split(part(tokens))
            for part, tokens in ((self.query, x), (self.key, context), (self.value, context))
        )
        if self.score_lif is not None:
            # a neuron stands between Q K^T and V, so only this order is right
            scores = query @ key.transpose(-2, -1)
            scores = scores if offset is None else scores + offset
            mixed = self.score_lif(scores.flatten(0, 1)).view_as(scores) @ value
        # without a neuron or softmax between, (Q K^T) V = Q (K^T V): take the cheaper order
        elif key.shape[-2] > key.shape[-1]:
            mixed = query @ (key.transpose(-2, -1) @ value)
        else:
            mixed = (query @ key.transpose(-2, -1)) @ value
        # s stands before the neuron: it sets how often Q K^T V reaches the threshold
        merged = self._merge(mixed * self.scale)
        out: Tensor = self.project(self.attention_lif(merged.flatten(0, 2)).view_as(merged))
        return out

    def _split(self, x: Tensor) -> Tensor:
        """(T, B, N, D) to (T, B, h, N, d) over space, (B, N, h, T, d) over time."""
        if self.axis == "space":
            return torch.unflatten(x, -1, (self.heads, -1)).transpose(2, 3)
        x = x.permute(1, 2, 0, 3)
        return torch.unflatten(x, -1, (self.heads, -1)).transpose(2, 3)

    def _merge(self, x: Tensor) -> Tensor:
        """Undo `_split`, to a contiguous (T, B, N, D)."""
        if self.axis == "space":
            return x.transpose(2, 3).flatten(3).contiguous()
        if self.head_layout == "scrambled":
            # as in the public code: a reshape where a transposition belongs
            batch, positions, heads, steps, width = x.shape
            x = x.reshape(batch, positions, steps, heads * width)
        else:
            x = x.transpose(2, 3).flatten(3)
        return x.permute(2, 0, 1, 3).contiguous()


class CrossModalResidual(nn.Module):
    """CCSSA: the complement of one modality, by attention to the other (S-CMRL Eqs 12-16).

    which: "spatial" (SCSA), "temporal" (TCSA) or "both", their product (Eq. 16).
    reduce_single: with one of them alone, apply its mean-and-expand (Eqs 12-15); the authors'
        code leaves the raw spikes.
    """

    def __init__(
        self,
        width: int,
        *,
        which: Literal["both", "spatial", "temporal"],
        heads: int,
        scale: float,
        neuron: Callable[[], LIF],
        head_layout: HeadLayout = "per-head",
        reduce_single: bool = True,
    ) -> None:
        super().__init__()
        self.reduce = which == "both" or reduce_single

        def attention(axis: Axis) -> SpikingAttention:
            return SpikingAttention(
                width, heads=heads, scale=scale, axis=axis, neuron=neuron, head_layout=head_layout
            )

        self.spatial = attention("space") if which != "temporal" else None
        self.temporal = attention("time") if which != "spatial" else None

    def forward(self, x: Tensor, other: Tensor) -> Tensor:
        """Queries are of x, keys and values of other: (T, B, N, D) each, as is the result."""
        result: Tensor | None = None
        if self.spatial is not None:
            spatial = self.spatial(x, other)
            # mean over the axis of attention, then back to N (or T) equal copies
            result = spatial.mean(2, keepdim=True).expand_as(spatial) if self.reduce else spatial
        if self.temporal is not None:
            temporal = self.temporal(x, other)
            if self.reduce:
                temporal = temporal.mean(0, keepdim=True).expand_as(temporal)
            result = temporal if result is None else result * temporal  # Eq. 16
        assert isinstance(result, torch.Tensor)
        return result
