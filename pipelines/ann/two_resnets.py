"""Two ResNet-18s, one a modality, and one linear layer on their features side by side.

The network that OGM-GE, MSLR, PMR and AGM train, each in its own way; with the first weights of
OGM-GE's public code.
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from pipelines.ann.output import Output
from pipelines.ann.resnet import ResNet18

Width = Annotated[
    int,
    Field(
        ge=1,
        le=1024,
        description="Number of channels of each ResNet-18's first stage; the last has 8 "
        "times as many.",
    ),
]


class TwoResNets(nn.Module):
    """W [z_a; z_v] + b, with z of F = 8 * width features each."""

    def __init__(
        self, *, classes: int, audio_channels: int, visual_channels: int, width: int = 64
    ) -> None:
        super().__init__()
        self.audio = ResNet18(audio_channels, width)
        self.visual = ResNet18(visual_channels, width)
        self.head = nn.Linear(self.audio.features + self.visual.features, classes)
        nn.init.xavier_normal_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def features(self, audio: Tensor, visual: Tensor) -> tuple[Tensor, Tensor]:
        """Return z_a and z_v, (B, F) each; of (T, B, C, H, W) the mean over T."""
        return _over_time(self.audio, audio), _over_time(self.visual, visual)

    def classify(self, z_a: Tensor, z_v: Tensor) -> Output:
        """Return the logits of (B, F) features, or of a (1, F) that goes with every other."""
        count = max(len(z_a), len(z_v))  # a batch of 1 stands for all: AGM's input of zeros
        z = torch.cat((z_a.expand(count, -1), z_v.expand(count, -1)), 1)
        return Output(self.head(z), embedding=z)

    def forward(self, audio: Tensor, visual: Tensor) -> Output:
        """Classify pairs: (B, C, H, W), or (T, B, C, H, W) if it changes over time."""
        return self.classify(*self.features(audio, visual))

    def modality_features(self, output: Output) -> tuple[Tensor, Tensor]:
        """Split an output's embedding: z_a and z_v, (B, F) each, in the weights' type."""
        assert output.embedding is not None
        z_a, z_v = output.embedding.to(self.head.weight.dtype).chunk(2, 1)
        return z_a, z_v

    def modality_logits(self, output: Output) -> tuple[Tensor, Tensor]:
        """Return W_a z_a + b / 2 and W_v z_v + b / 2, (B, classes) each; their sum is the logits.

        The bias is shared as in the public code of OGM-GE and of PMR.
        """
        z_a, z_v = self.modality_features(output)
        w_a, w_v = self.head.weight.chunk(
            2, 1
        )  # (classes, F) each: W [z_a; z_v] = W_a z_a + W_v z_v
        half = self.head.bias / 2
        return functional.linear(z_a, w_a, half), functional.linear(z_v, w_v, half)


def _over_time(network: ResNet18, x: Tensor) -> Tensor:
    if x.dim() == 4:
        return network(x)  # type: ignore[no-any-return]
    # frames as clips, so that batch norms see them all; the mean is over features, not pictures
    return network(x.flatten(0, 1)).view(*x.shape[:2], -1).mean(0)  # type: ignore[no-any-return]
