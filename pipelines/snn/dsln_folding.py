"""Fold a DSLN, affine in inference, into the linear layer beside it (SpikSLC-Net Eqs 12-15)."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipelines.snn.dsln import DSLN


class FrameLinear(nn.Module):
    """One linear layer for each frame: what a DSLN with variances by frame folds into."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(bias)

    def forward(self, x: Tensor) -> Tensor:
        """x: (..., F, in) to (..., F, out); weight (F, out, in), bias (F, out)."""
        return torch.einsum("...fi,foi->...fo", x, self.weight) + self.bias


def fold_before(norm: DSLN, linear: nn.Linear) -> nn.Linear | FrameLinear:
    """Return the one layer that is linear(norm(x)), as in SpikSLC-Net's Eq. 12.

    With C = I - 11ᵀ/n: W' = W diag(A) C, b' = b + W beta. Raises UsageError in training.
    """
    gain = norm.gain()
    weight, bias = _double(linear)
    # W diag(A), then C from the right: it takes the mean off each row
    scaled = weight * gain[..., None, :]
    folded = scaled - scaled.mean(-1, keepdim=True)
    shift = bias + functional.linear(norm.bias.detach().double(), weight)
    return _layer(folded, shift.expand(folded.shape[:-1]), linear)


def fold_after(linear: nn.Linear, norm: DSLN) -> nn.Linear | FrameLinear:
    """Return the one layer that is norm(linear(x)), as in SpikSLC-Net's Eqs 14-15.

    With C = I - 11ᵀ/n: W' = diag(A) C W, b' = A ⊙ (C b) + beta. Raises UsageError in training.
    """
    gain = norm.gain()
    weight, bias = _double(linear)
    # C from the left takes the mean over outputs off each column, then diag(A)
    folded = gain[..., None] * (weight - weight.mean(0))
    shift = gain * (bias - bias.mean()) + norm.bias.detach().double()
    return _layer(folded, shift, linear)


def _double(linear: nn.Linear) -> tuple[Tensor, Tensor]:
    # float64 until the end: folding is exact to the last bit of float32
    weight = linear.weight.detach().double()
    bias = weight.new_zeros(len(weight)) if linear.bias is None else linear.bias.detach().double()
    return weight, bias


def _layer(weight: Tensor, bias: Tensor, like: nn.Linear) -> nn.Linear | FrameLinear:
    """Return a layer of these weights, in the type and on the device of the one it replaces."""
    weight, bias = weight.detach().to(like.weight), bias.detach().to(like.weight).contiguous()
    if weight.dim() == 3:
        return FrameLinear(weight, bias)
    layer = nn.Linear(weight.shape[1], weight.shape[0]).to(like.weight)
    layer.weight, layer.bias = nn.Parameter(weight), nn.Parameter(bias)
    return layer
