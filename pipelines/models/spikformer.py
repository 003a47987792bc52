"""Unimodal Spikformer: SPS, one attention block, MLP, head (Zhou et al. 2023, as in S-CMRL).

It reads the one modality that the recipe gives it, audio or visual.
"""

from typing import Any

from torch import Tensor, nn

from pipelines.ann.output import Output, Targets, TetShare, class_loss
from pipelines.snn.attention import SpikingAttention
from pipelines.snn.feed_forward import FeedForward
from pipelines.snn.lif_settings import LIFSettings
from pipelines.snn.patch_splitting import PatchSplitting
from pipelines.snn.spikformer_settings import AttentionScale, Heads, Stages, TimeSteps, TokenWidth

PRESETS: dict[str, dict[str, Any]] = {"paper": {}, "authors": {"neuron": {"gradient": "cut"}}}
ASSUMED = ("heads", "scale")


class Model(nn.Module):
    """SPS, x + SSA(x), x + MLP(x), mean over N and T, linear head (S-CMRL Eqs 6-9)."""

    def __init__(
        self,
        *,
        classes: int,
        audio_channels: int | None = None,
        visual_channels: int | None = None,
        time_steps: TimeSteps = 4,
        width: TokenWidth = 256,
        stages: Stages = 4,
        heads: Heads = 16,
        scale: AttentionScale = 0.25,
        tet: TetShare = None,
        neuron: LIFSettings = LIFSettings(),
    ) -> None:
        super().__init__()
        channels = [c for c in (audio_channels, visual_channels) if c is not None]
        if len(channels) != 1:
            raise ValueError("spikformer takes one modality: either audio or visual")
        lif = neuron.factory(time_steps)
        self.patches = PatchSplitting(channels[0], width, stages, lif)
        self.attention = SpikingAttention(width, heads=heads, scale=scale, axis="space", neuron=lif)
        self.mlp = FeedForward(width, lif)
        self.head, self.tet = nn.Linear(width, classes), tet

    def forward(self, audio: Tensor | None = None, visual: Tensor | None = None) -> Output:
        """Classify one modality: (B, C, H, W) if static, or (T, B, C, H, W)."""
        image = audio if audio is not None else visual
        assert image is not None  # __init__ took exactly one modality
        x = self.patches(image)  # (T, B, N, D)
        x = x + self.attention(x, x)
        z = self.mlp(x).mean(2)  # (T, B, D)
        # the head is linear: the mean of its outputs over T is its output of the mean
        embedding = z.mean(0)
        steps = None if self.tet is None else self.head(z)
        return Output(self.head(embedding), step_logits=steps, embedding=embedding)

    def loss(self, output: Output, targets: Targets, label_smoothing: float = 0.0) -> Tensor:
        """Return the cross-entropy, or TET: a scalar."""
        return class_loss(output, targets, label_smoothing, self.tet)


build = Model
