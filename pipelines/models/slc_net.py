"""SLC-Net: the ANN twin of SpikSLC-Net, for comparison (its paper's appendix C).

The paper says no more than "an ANN version of our model". Here it has the same
layers, and so as many parameters, with one pass in place of T, layer norm in place of DSLN, ReLU in
place of the neurons, and softmax attention in place of the spiking attention.
"""

from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from pipelines.ann.output import Output, Targets
from pipelines.snn.doa import BINS
from pipelines.snn.localisation import joint_loss, microphones_of, streams

PRESETS: dict[str, dict[str, Any]] = {"paper": {}}
ASSUMED = ("heads", "hidden_ratio")


class LinearNorm(nn.Module):
    """Linear - BN over frames."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.linear = nn.Linear(before, after, bias=False)
        self.norm = nn.BatchNorm1d(after)

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, F, before) to (B, F, after)."""
        out: Tensor = self.norm(self.linear(x.flatten(0, 1)))
        return out.view(*x.shape[:2], -1)


class Attention(nn.Module):
    """BN(Linear(softmax(Q K^T / sqrt(d)) V)), Q, K and V by Linear - BN as in SpikSLC-Net."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width {width} is not a multiple of heads {heads}")
        self.heads = heads
        self.query, self.key = LinearNorm(width, width), LinearNorm(width, width)
        self.value, self.project = LinearNorm(width, width), LinearNorm(width, width)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """Attend from x to context; both (B, F, E), as is the result."""
        query, key, value = (
            torch.unflatten(part(tokens), -1, (self.heads, -1)).transpose(1, 2)
            for part, tokens in ((self.query, x), (self.key, context), (self.value, context))
        )
        # written out: torch's fused kernels have no deterministic gradient on every GPU
        scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
        mixed = scores.softmax(-1) @ value
        out: Tensor = self.project(mixed.transpose(1, 2).flatten(2))
        return out


class Half(nn.Module):
    """Y = X + SA(X) + CA(X, other); Y + f(f(Y)) with f = ReLU(FC(LN(.)))."""

    def __init__(self, width: int, hidden: int, heads: int) -> None:
        super().__init__()
        self.self_attention, self.cross_attention = Attention(width, heads), Attention(width, heads)
        self.layers = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, hidden),
            nn.ReLU(),
            nn.LayerNorm(hidden),
            nn.Linear(hidden, width),
            nn.ReLU(),
        )

    def forward(self, x: Tensor, other: Tensor) -> Tensor:
        """Queries are of x, keys and values of x and of other; each (B, F, E), as is the result."""
        y = x + self.self_attention(x, x) + self.cross_attention(x, other)
        out: Tensor = y + self.layers(y)
        return out


class Model(nn.Module):
    """SLC-Net; see the module's docstring."""

    def __init__(
        self,
        *,
        classes: int,
        audio_channels: int,
        blocks: Annotated[int, Field(ge=1, le=64, description="Number L of fusion blocks.")] = 2,
        embedding: Annotated[int, Field(ge=8, le=4096, description="Width E of a token.")] = 128,
        heads: Annotated[int, Field(ge=1, le=256, description="Number of attention heads.")] = 8,
        hidden_ratio: Annotated[
            int,
            Field(
                ge=1,
                le=64,
                description="Width between the two fully connected layers as a multiple of E.",
            ),
        ] = 4,
        bins: Annotated[
            int,
            Field(
                ge=1,
                le=4096,
                description="Number of lags, and of mel bands, in a frame of the input.",
            ),
        ] = 51,
        doa_weight: Annotated[
            float,
            Field(
                ge=0,
                le=1,
                description="Weight lambda of the azimuth's loss, beside the classes' (Eq. 19).",
            ),
        ] = 0.99,
        sigma_deg: Annotated[
            float,
            Field(
                gt=0, le=180, description="Width sigma of the azimuth's target in degrees (Eq. 16)."
            ),
        ] = 5.0,
    ) -> None:
        super().__init__()
        self.microphones, self.bins = microphones_of(audio_channels), bins
        self.doa_weight, self.sigma_deg = doa_weight, sigma_deg
        pairs = audio_channels - self.microphones
        self.correlation = LinearNorm(pairs * bins, embedding)
        self.spectrum = LinearNorm(self.microphones * bins, embedding)

        def halves() -> nn.ModuleList:
            hidden = hidden_ratio * embedding
            return nn.ModuleList(Half(embedding, hidden, heads) for _ in range(blocks))

        self.correlation_halves, self.spectrum_halves = halves(), halves()
        self.doa_head = nn.Linear(2 * embedding, BINS)
        self.class_head = nn.Linear(2 * embedding, classes)

    def forward(self, audio: Tensor) -> Output:
        """Locate and classify (B, pairs + microphones, bins, F).

        Raises UsageError for another number of bins.
        """
        correlation, spectrum = streams(audio, self.microphones, self.bins)
        x, y = self.correlation(correlation).relu(), self.spectrum(spectrum).relu()
        for first, second in zip(self.correlation_halves, self.spectrum_halves, strict=True):
            x, y = first(x, y), second(y, x)  # both from the streams as they came in
        embedding = torch.cat((x, y), -1).mean(1)  # (B, 2 E), over frames
        return Output(
            self.class_head(embedding), azimuth=self.doa_head(embedding), embedding=embedding
        )

    def loss(self, output: Output, targets: Targets, label_smoothing: float = 0.0) -> Tensor:
        """Return the loss of SpikSLC-Net, a scalar; UsageError if the clips have no azimuth."""
        return joint_loss(output, targets, self.doa_weight, self.sigma_deg, label_smoothing)


build = Model
