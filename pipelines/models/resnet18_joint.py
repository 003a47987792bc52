"""Two ResNet-18s trained jointly: the baseline of the ANN rivals on CREMA-D.

The network that OGM-GE, MSLR, PMR and AGM train, without their changes to its gradients.
"""

from typing import Any

from torch import Tensor, nn

from pipelines.ann.output import Output, Targets, cross_entropy
from pipelines.ann.two_resnets import TwoResNets, Width

PRESETS: dict[str, dict[str, Any]] = {"paper": {}}
ASSUMED = ()


class Model(nn.Module):
    """ResNet-18 a modality, features side by side, one linear layer, cross-entropy."""

    def __init__(
        self, *, classes: int, audio_channels: int, visual_channels: int, width: Width = 64
    ) -> None:
        super().__init__()
        self.net = TwoResNets(
            classes=classes,
            audio_channels=audio_channels,
            visual_channels=visual_channels,
            width=width,
        )

    def forward(self, audio: Tensor, visual: Tensor) -> Output:
        """Classify pairs: (B, C, H, W), or (T, B, C, H, W) if it changes over time."""
        output: Output = self.net(audio, visual)
        return output

    def loss(self, output: Output, targets: Targets, label_smoothing: float = 0.0) -> Tensor:
        """Return the cross-entropy, a scalar."""
        return cross_entropy(output, targets, label_smoothing)


build = Model
