"""Norms of tokens in the comparison of SpikSLC-Net's Table 4: DSLN and its rivals."""

from typing import Literal

from torch import Tensor, nn

from pipelines.snn.dsln import DSLN

TokenNorm = Literal["dsln", "ln", "variant-ln", "bn1d"]


class VariantLayerNorm(nn.LayerNorm):
    """Layer norm that multiplies by the standard deviation: (x - mu) sqrt(sigma² + eps) …

    SpikSLC-Net's ablation "moves the variance from the denominator to the numerator" of Eq. 5;
    read as the whole root, which is what stands there.
    """

    def forward(self, x: Tensor) -> Tensor:
        """x: (..., N) to the same shape."""
        x = x.to(self.weight.dtype)
        variance = x.var(-1, correction=0, keepdim=True)
        centred = x - x.mean(-1, keepdim=True)
        return centred * (variance + self.eps).sqrt() * self.weight + self.bias


class TokenBatchNorm(nn.BatchNorm1d):
    """Batch norm of the channels of tokens, over steps, samples and frames."""

    def forward(self, x: Tensor) -> Tensor:
        """x: (..., N) to the same shape."""
        return super().forward(x.flatten(0, -2)).view(x.shape)


def token_norm(kind: TokenNorm, width: int, frames: int | None = None) -> nn.Module:
    """Return one of the norms of SpikSLC-Net's Table 4, over tokens (T, B, F, width)."""
    if kind == "dsln":
        return DSLN(width, frames=frames)
    if kind == "ln":
        return nn.LayerNorm(width)
    return VariantLayerNorm(width) if kind == "variant-ln" else TokenBatchNorm(width)
