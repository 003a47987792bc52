"""SpikSLC-Net: where a sound comes from and what it is, in one spiking network.

Two streams, correlations of the microphones and their mel bands, attend to themselves and to each
other; two heads read both. The input is the feature `gcc_logmel`.

    model = Model(classes=10, audio_channels=10)       # 6 pairs and 4 microphones
    out = model(audio)                                 # audio (B, 10, 51, frames)
    loss = model.loss(out, Targets(labels, azimuth_deg))
    degrees = decode(out.azimuth)
    small = reparameterised(model.eval())              # the same network without a norm before FC
"""

import copy
from collections.abc import Callable
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from pipelines.ann.output import Output, Targets
from pipelines.errors import UsageError
from pipelines.snn.arctan_lif import ArcTanLIFSettings
from pipelines.snn.attention import SpikingAttention
from pipelines.snn.doa import BINS
from pipelines.snn.dsln import DSLN
from pipelines.snn.dsln_folding import fold_before
from pipelines.snn.lif import LIF
from pipelines.snn.localisation import joint_loss, microphones_of, streams
from pipelines.snn.token_norms import TokenNorm, token_norm

PRESETS: dict[str, dict[str, Any]] = {"paper": {}}
ASSUMED = ("heads", "scale", "hidden_ratio", "variance_frames")


class Encoder(nn.Module):
    """Linear - BN - LIF over frames; a static input is the same current at every step."""

    def __init__(self, before: int, after: int, neuron: LIF) -> None:
        super().__init__()
        self.linear = nn.Linear(before, after, bias=False)
        self.norm = nn.BatchNorm1d(after)
        self.lif = neuron

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, F, before), or (T, B, F, before), to spikes (T, B, F, after)."""
        currents = self.norm(self.linear(x.flatten(0, -2)))
        spikes: Tensor = self.lif(currents, static=x.dim() == 3)
        return spikes.view(self.lif.time_steps, *x.shape[-3:-1], -1)


class FLS(nn.Module):
    """SN(FC(DSLN(x))) (Eq. 12)."""

    def __init__(self, norm: nn.Module, linear: nn.Module, neuron: LIF) -> None:
        super().__init__()
        self.norm, self.linear, self.lif = norm, linear, neuron

    def forward(self, x: Tensor) -> Tensor:
        """x: (T, B, F, before) to spikes (T, B, F, after)."""
        currents = self.linear(self.norm(x))
        spikes: Tensor = self.lif(currents.flatten(0, 2))
        return spikes.view(currents.shape)


class HalfSHAF(nn.Module):
    """Y = X + SSA(X) + SCA(X, other); Y + FLS(FLS(Y)): one stream's half (Eqs 11-13)."""

    def __init__(
        self,
        attention: Callable[[], SpikingAttention],
        fls: Callable[[int, int], FLS],
        width: int,
        hidden: int,
    ) -> None:
        super().__init__()
        self.self_attention, self.cross_attention = attention(), attention()
        self.expand, self.contract = fls(width, hidden), fls(hidden, width)

    def forward(self, x: Tensor, other: Tensor) -> Tensor:
        """Queries are of x, keys and values of x and other; each (T, B, F, E), as is the result."""
        y = x + self.self_attention(x, x) + self.cross_attention(x, other)
        out: Tensor = y + self.contract(self.expand(y))
        return out


class SHAF(nn.Module):
    """Spiking hybrid attentive fusion: both halves, each from the streams as they came in."""

    def __init__(self, half: Callable[[], HalfSHAF]) -> None:
        super().__init__()
        self.correlation, self.spectrum = half(), half()

    def forward(self, correlation: Tensor, spectrum: Tensor) -> tuple[Tensor, Tensor]:
        """correlation, spectrum: (T, B, F, E) each."""
        return self.correlation(correlation, spectrum), self.spectrum(spectrum, correlation)


class Model(nn.Module):
    """SpikSLC-Net; see the module's docstring. Keeps no state from call to call."""

    def __init__(
        self,
        *,
        classes: int,
        audio_channels: int,
        time_steps: Annotated[
            int, Field(ge=1, le=256, description="Number of simulation time steps T.")
        ] = 2,
        blocks: Annotated[int, Field(ge=1, le=64, description="Number L of SHAF blocks.")] = 2,
        embedding: Annotated[int, Field(ge=8, le=4096, description="Width E of a token.")] = 128,
        heads: Annotated[int, Field(ge=1, le=256, description="Number of attention heads.")] = 8,
        scale: Annotated[
            float, Field(gt=0, le=100, description="Scale s of the attention (Eq. 9).")
        ] = 0.125,
        hidden_ratio: Annotated[
            int,
            Field(ge=1, le=64, description="Width between the two FLS layers as a multiple of E."),
        ] = 4,
        norm: Annotated[
            TokenNorm, Field(description="Norm before each fully connected layer (Table 4).")
        ] = "dsln",
        variance_frames: Annotated[
            Annotated[int, Field(ge=1, le=65536)] | None,
            Field(
                description="Number of frames that have a DSLN variance each; null is one "
                "variance for all frames."
            ),
        ] = None,
        bins: Annotated[
            int,
            Field(
                ge=1,
                le=4096,
                description="Number of lags, and of mel bands, in a frame of the input.",
            ),
        ] = 51,
        attention_threshold: Annotated[
            float, Field(gt=0, le=100, description="Firing threshold of the neurons on Q K^T V s.")
        ] = 1.0,
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
        neuron: ArcTanLIFSettings = ArcTanLIFSettings(),
    ) -> None:
        super().__init__()
        self.microphones, self.bins = microphones_of(audio_channels), bins
        self.doa_weight, self.sigma_deg = doa_weight, sigma_deg
        lif = neuron.factory(time_steps)

        def attention() -> SpikingAttention:
            # over frames, which stand where S-CMRL has positions
            layer = SpikingAttention(embedding, heads=heads, scale=scale, axis="space", neuron=lif)
            layer.attention_lif = lif(v_threshold=attention_threshold)
            return layer

        def fls(before: int, after: int) -> FLS:
            return FLS(token_norm(norm, before, variance_frames), nn.Linear(before, after), lif())

        def half() -> HalfSHAF:
            return HalfSHAF(attention, fls, embedding, hidden_ratio * embedding)

        pairs = audio_channels - self.microphones
        self.correlation = Encoder(pairs * bins, embedding, lif())
        self.spectrum = Encoder(self.microphones * bins, embedding, lif())
        self.blocks = nn.ModuleList(SHAF(half) for _ in range(blocks))
        self.doa_head = nn.Linear(2 * embedding, BINS)
        self.class_head = nn.Linear(2 * embedding, classes)

    def forward(self, audio: Tensor) -> Output:
        """Locate and classify: (B, pairs + microphones, bins, F), or (T, B, ...) if it changes.

        Raises UsageError for another number of bins.
        """
        # (B, F, pairs bins) and (B, F, M bins), with T in front if the input changes
        frames = streams(audio, self.microphones, self.bins)
        x, y = self.correlation(frames[0]), self.spectrum(frames[1])
        for block in self.blocks:
            x, y = block(x, y)
        embedding = torch.cat((x, y), -1).mean((0, 2))  # (B, 2 E), over steps and frames
        return Output(
            self.class_head(embedding), azimuth=self.doa_head(embedding), embedding=embedding
        )

    def loss(self, output: Output, targets: Targets, label_smoothing: float = 0.0) -> Tensor:
        """Return lambda L_SSL + (1 - lambda) L_SEC, a scalar (Eq. 19); UsageError if no azimuth."""
        return joint_loss(output, targets, self.doa_weight, self.sigma_deg, label_smoothing)


def reparameterised(model: Model) -> Model:
    """Return a copy in which every DSLN is folded into the FC behind it, exactly (Eq. 15).

    Raises UsageError for a model that is training or has another norm.
    """
    folded = copy.deepcopy(model)
    for part in folded.modules():
        if isinstance(part, FLS):
            if not (isinstance(part.norm, DSLN) and isinstance(part.linear, nn.Linear)):
                raise UsageError("only DSLN folds into the layer behind it", "set model.norm=dsln")
            part.linear = fold_before(part.norm, part.linear)
            part.norm = nn.Identity()  # the FC's input is sums of spikes again
    return folded


build = Model
