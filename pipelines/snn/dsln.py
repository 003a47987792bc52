"""Decoupled spiking layer norm (DSLN, SpikSLC-Net Eqs 14-15).

The mean is taken at every step, and is linear in the input; in inference the variance is a
constant. Hence the whole norm is an affine map, which the linear layer beside it can absorb.
"""

import torch
from torch import Tensor, nn

from pipelines.errors import UsageError


class DSLN(nn.Module):
    """(x - mu) / sqrt(sigma² + eps) ⊙ gamma + beta, sigma² fixed in inference (Eq. 14).

    mu: over the channels, at each step. sigma²: in training each token's own, over its steps and
    channels; in inference its expectation, a running mean over batches. The paper indexes it by
    token, which folds into one matrix for each frame: frames=F does that. By default one number
    serves all frames.
    """

    running_variance: Tensor

    def __init__(
        self, width: int, *, frames: int | None = None, eps: float = 1e-5, momentum: float = 0.1
    ) -> None:
        super().__init__()
        self.width, self.eps, self.momentum = width, eps, momentum
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))
        self.register_buffer("running_variance", torch.ones(() if frames is None else (frames,)))

    def forward(self, x: Tensor) -> Tensor:
        """x: (T, B, F, N) to the same shape, in the parameters' type."""
        frames = self.running_variance.shape
        if frames and x.shape[-2] != frames[0]:
            raise ValueError(f"{x.shape[-2]} frames, and variances of {frames[0]}")
        x = x.to(self.weight.dtype)  # float32 under autocast: spike counts' squares are summed
        centred = x - x.mean(-1, keepdim=True)
        if self.training:
            # a token's own, over steps and channels: one number for each clip and frame
            variance = centred.square().mean((0, -1))  # (B, F)
            with torch.no_grad():
                # E over the batch; the running mean makes it one over batches
                expected = variance.mean(0) if frames else variance.mean()
                self.running_variance.lerp_(expected, self.momentum)
        else:
            variance = self.running_variance
        return centred * (variance[..., None] + self.eps).rsqrt() * self.weight + self.bias

    def gain(self) -> Tensor:
        """Return A = gamma / sqrt(sigma² + eps) in float64: (N,), or (F, N) by frame (Eq. 15).

        Raises UsageError in training, when sigma² is not a constant yet.
        """
        if self.training:
            raise UsageError("a DSLN cannot be folded while it is training", "call eval() first")
        variance = self.running_variance.double()[..., None]  # (1,), or (F, 1)
        return self.weight.double() * (variance + self.eps).rsqrt()
