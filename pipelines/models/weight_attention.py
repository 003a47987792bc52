"""WeightAttention: each modality is weighted by a number computed from both (a rival in S-CMRL).

Liu et al., "Event-based multimodal spiking neural network with attention mechanism", ICASSP 2022,
in the form of S-CMRL's authors, on the same spiking transformer.
"""

from typing import Any

import torch
from torch import Tensor, nn

from pipelines.ann.output import Output, Targets, cross_entropy
from pipelines.snn.feed_forward import FeedForward
from pipelines.snn.lif_settings import LIFSettings
from pipelines.snn.patch_splitting import PatchSplitting
from pipelines.snn.spikformer_settings import Stages, TimeSteps, TokenWidth

PRESETS: dict[str, dict[str, Any]] = {"paper": {}, "authors": {"neuron": {"gradient": "cut"}}}
ASSUMED = ("width",)


class Model(nn.Module):
    """SPS; w = Linear(Linear([own mean, other mean])) for each modality; w x; MLP; add; head."""

    def __init__(
        self,
        *,
        classes: int,
        audio_channels: int,
        visual_channels: int,
        time_steps: TimeSteps = 4,
        width: TokenWidth = 256,
        stages: Stages = 4,
        neuron: LIFSettings = LIFSettings(),
    ) -> None:
        super().__init__()
        lif = neuron.factory(time_steps)
        self.audio_patches = PatchSplitting(audio_channels, width, stages, lif)
        self.visual_patches = PatchSplitting(visual_channels, width, stages, lif)
        self.audio_weight, self.visual_weight = (
            nn.Sequential(nn.Linear(2 * width, width), nn.Linear(width, 1)) for _ in range(2)
        )
        self.audio_mlp, self.visual_mlp = FeedForward(width, lif), FeedForward(width, lif)
        self.head = nn.Linear(width, classes)

    def forward(self, audio: Tensor, visual: Tensor) -> Output:
        """Classify pairs; inputs (B, C, H, W), or (T, B, C, H, W) if they change over time."""
        x_a, x_v = self.audio_patches(audio), self.visual_patches(visual)
        mean_a, mean_v = x_a.mean(2), x_v.mean(2)  # (T, B, D)
        # own mean first: w_a and w_v have weights of their own; one number for each step and clip
        x_a = self.audio_weight(torch.cat((mean_a, mean_v), -1))[:, :, None] * x_a
        x_v = self.visual_weight(torch.cat((mean_v, mean_a), -1))[:, :, None] * x_v
        z = self.audio_mlp(x_a).mean(2) + self.visual_mlp(x_v).mean(2)
        embedding = z.mean(0)
        return Output(self.head(embedding), embedding=embedding)

    def loss(self, output: Output, targets: Targets, label_smoothing: float = 0.0) -> Tensor:
        """Return the cross-entropy, a scalar."""
        return cross_entropy(output, targets, label_smoothing)


build = Model
