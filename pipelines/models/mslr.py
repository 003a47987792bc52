"""MSLR: a learning rate of its own for each modality (Yao & Mihalcea 2022), here a constant one.

Under sgd, with or without momentum, a learning rate c times as large is a gradient c times as
large, so the gradients are scaled; under Adam that would change nothing. The paper has three ways
to assign the rates; here they are constants. Weight decay keeps the optimizer's rate.
"""

from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from pipelines.ann.output import Output, Targets, cross_entropy
from pipelines.ann.two_resnets import TwoResNets, Width

PRESETS: dict[str, dict[str, Any]] = {"paper": {}}
# as the code of AGM's authors has them for CREMA-D
ASSUMED = ("audio_rate", "visual_rate")


class Model(nn.Module):
    """Two ResNet-18s; each, with its half of the head, learns at its own rate."""

    def __init__(
        self,
        *,
        classes: int,
        audio_channels: int,
        visual_channels: int,
        width: Width = 64,
        audio_rate: Annotated[
            float,
            Field(
                ge=0,
                le=1000,
                description="Learning rate of the audio network as a factor of the optimizer's.",
            ),
        ] = 0.9,
        visual_rate: Annotated[
            float,
            Field(
                ge=0,
                le=1000,
                description="Learning rate of the visual network as a factor of the optimizer's.",
            ),
        ] = 1.1,
    ) -> None:
        super().__init__()
        self.net = TwoResNets(
            classes=classes,
            audio_channels=audio_channels,
            visual_channels=visual_channels,
            width=width,
        )
        self.audio_rate, self.visual_rate = audio_rate, visual_rate

    def forward(self, audio: Tensor, visual: Tensor) -> Output:
        """Classify pairs: (B, C, H, W), or (T, B, C, H, W) if it changes over time."""
        output: Output = self.net(audio, visual)
        return output

    def loss(self, output: Output, targets: Targets, label_smoothing: float = 0.0) -> Tensor:
        """Return the cross-entropy, a scalar."""
        return cross_entropy(output, targets, label_smoothing)

    @torch.no_grad()
    def after_backward(self, _output: Output, _targets: Targets) -> None:
        """Scale each modality's gradients by its rate; not the head's bias, which both share."""
        head = self.net.head.weight.grad
        for half, encoder, rate in (
            (0, self.net.audio, self.audio_rate),
            (1, self.net.visual, self.visual_rate),
        ):
            # a frozen encoder has no gradients
            gradients = [p.grad for p in encoder.parameters() if p.grad is not None]
            if head is not None:
                gradients.append(head.chunk(2, 1)[half])  # a view: W_a or W_v of the head
            for gradient in gradients:
                gradient.mul_(rate)


build = Model
