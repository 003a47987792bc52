"""CMCI: a third branch joins the features of both modalities (a rival in S-CMRL).

Jiang et al., "CMCI: a robust multimodal fusion method for spiking neural networks", ICONIP 2023,
in the form of S-CMRL's authors, on the same spiking transformer.
"""

from typing import Any

from torch import Tensor, nn

from pipelines.ann.output import Output, Targets, cross_entropy
from pipelines.snn import tokens
from pipelines.snn.feed_forward import FeedForward
from pipelines.snn.lif_settings import LIFSettings
from pipelines.snn.patch_splitting import PatchSplitting
from pipelines.snn.spikformer_settings import Stages, TimeSteps, TokenWidth
from pipelines.snn.tokens import Size

PRESETS: dict[str, dict[str, Any]] = {"paper": {}, "authors": {"neuron": {"gradient": "cut"}}}
ASSUMED = ("width",)


def misfit(settings: Any, audio: Size | None, visual: Size | None) -> str:
    """Return why inputs of these sizes do not fit each other, "" if they do; settings: all."""
    return tokens.misfit(audio, visual, settings.stages)


class Model(nn.Module):
    """SPS, MLP and head for each modality; LIF(Linear(a) + Linear(v)) of both SPS, MLP and head.

    The joint head predicts; the three cross-entropies are added.
    """

    # parts that only the unimodal heads read: they have no part in the prediction
    UNDECIDING = ("audio_mlp", "visual_mlp", "audio_head", "visual_head")

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
        self.audio_mlp, self.visual_mlp = FeedForward(width, lif), FeedForward(width, lif)
        self.from_audio, self.from_visual = nn.Linear(width, width), nn.Linear(width, width)
        self.joint_lif, self.joint_mlp = lif(), FeedForward(width, lif)
        self.audio_head, self.visual_head, self.head = (nn.Linear(width, classes) for _ in range(3))

    def forward(self, audio: Tensor, visual: Tensor) -> Output:
        """Classify pairs; inputs (B, C, H, W), or (T, B, C, H, W) if they change over time."""
        x_a, x_v = self.audio_patches(audio), self.visual_patches(visual)
        # the joint branch has the same input as the unimodal MLPs, not their output
        currents = self.from_audio(x_a) + self.from_visual(x_v)
        x_a, x_v = self.audio_mlp(x_a), self.visual_mlp(x_v)
        # neurons take (T B N, D) and return it: the shape of the tokens is put back around them
        joint = self.joint_mlp(self.joint_lif(currents.flatten(0, 2)).view_as(currents))
        # over steps and tokens: (B, D) each
        z_a, z_v, z = (x.mean((0, 2)) for x in (x_a, x_v, joint))
        sides = self.audio_head(z_a), self.visual_head(z_v)
        return Output(self.head(z), side_logits=sides, embedding=z)

    def loss(self, output: Output, targets: Targets, label_smoothing: float = 0.0) -> Tensor:
        """Return the sum of the three heads' cross-entropies, a scalar."""
        loss = cross_entropy(output, targets, label_smoothing)
        for logits in output.side_logits:
            loss = loss + cross_entropy(Output(logits), targets, label_smoothing)
        return loss


build = Model
