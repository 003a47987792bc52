"""What every model returns."""

from typing import NamedTuple

from torch import Tensor


class Output(NamedTuple):
    """logits: (B, classes). The residuals (T, B, N, D) are None where a model has none."""

    logits: Tensor
    audio_residual: Tensor | None = None
    visual_residual: Tensor | None = None
