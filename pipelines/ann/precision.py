"""The precision in which sums, membranes and losses are computed."""

import torch
from torch import Tensor


def wide_dtype(dtype: torch.dtype) -> torch.dtype:
    """Return float32 for the half precisions and float32, float64 for float64.

    A float32 membrane in a float64 network would flip spikes whose charge is near the threshold.
    """
    return torch.promote_types(dtype, torch.float32)


def widened(x: Tensor) -> Tensor:
    """Return x, any shape, in float32 or, if it is float64, unchanged."""
    return x.to(wide_dtype(x.dtype))
