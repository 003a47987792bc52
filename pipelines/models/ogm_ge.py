"""OGM-GE: on-the-fly gradient modulation with generalisation enhancement (Peng et al. 2022).

The modality that scores better is slowed down: the gradient of its encoder's convolutions is
scaled, and noise as strong as the gradient is added to those of both. Train with sgd: Adam divides
a gradient by its size, so that a factor has little effect.
"""

from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from pipelines.ann.output import Output, Targets, cross_entropy
from pipelines.ann.two_resnets import TwoResNets, Width

PRESETS: dict[str, dict[str, Any]] = {"paper": {}}
ASSUMED = ("alpha", "modulated_steps")


def scores(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the sum over the batch of the true class's probability: a scalar.

    logits: (B, classes). labels: (B,).
    """
    return logits.softmax(1).gather(1, labels[:, None]).sum()


def coefficient(own: Tensor, other: Tensor, alpha: float) -> Tensor:
    """Return k = 1 - tanh(alpha * rho) if rho = own / other is above 1, else 1 (OGM-GE Eq. 10)."""
    rho = own / other
    # both coefficients are computed, and at most one differs from 1
    return torch.where(rho > 1, 1 - torch.tanh(alpha * rho), torch.ones_like(rho))


class Model(nn.Module):
    """Two ResNet-18s; after each backward pass the better one's gradient is scaled by k."""

    steps: Tensor

    def __init__(
        self,
        *,
        classes: int,
        audio_channels: int,
        visual_channels: int,
        width: Width = 64,
        alpha: Annotated[
            float,
            Field(ge=0, le=10, description="Strength alpha of the gradient modulation (Eq. 10)."),
        ] = 0.8,
        noise: Annotated[
            bool,
            Field(
                description="Add Gaussian noise to the gradients (generalisation enhancement, GE)."
            ),
        ] = True,
        modulated_steps: Annotated[
            int | None,
            Field(
                ge=0,
                description="Number of training steps in which gradients are modulated, from "
                "the first; null is all.",
            ),
        ] = None,
    ) -> None:
        super().__init__()
        self.net = TwoResNets(
            classes=classes,
            audio_channels=audio_channels,
            visual_channels=visual_channels,
            width=width,
        )
        self.alpha, self.noise, self.modulated_steps = alpha, noise, modulated_steps
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def forward(self, audio: Tensor, visual: Tensor) -> Output:
        """Classify pairs: (B, C, H, W), or (T, B, C, H, W) if it changes over time."""
        output: Output = self.net(audio, visual)
        return output

    def loss(self, output: Output, targets: Targets, label_smoothing: float = 0.0) -> Tensor:
        """Return the cross-entropy, a scalar."""
        return cross_entropy(output, targets, label_smoothing)

    @torch.no_grad()
    def after_backward(self, output: Output, targets: Targets) -> None:
        """Scale the gradients of the convolutions, and add the noise."""
        # a tensor, compared on its device: no wait for the GPU at every step
        on = torch.ones_like(self.steps, dtype=torch.bool)
        if self.modulated_steps is not None:
            on = self.steps < self.modulated_steps
        self.steps += 1
        s_a, s_v = (scores(z, targets.labels) for z in self.net.modality_logits(output))
        for encoder, k in (
            (self.net.audio, coefficient(s_a, s_v, self.alpha)),
            (self.net.visual, coefficient(s_v, s_a, self.alpha)),
        ):
            for weight in encoder.parameters():
                # four axes: a convolution's, the only ones that the authors' code scales
                if weight.grad is not None and weight.dim() == 4:
                    weight.grad = torch.where(on, self._modulated(weight.grad, k), weight.grad)

    def _modulated(self, gradient: Tensor, k: Tensor) -> Tensor:
        scaled = gradient * k
        if not self.noise:
            return scaled
        # the spread is that of the gradient before k, as in the authors' code
        return scaled + torch.randn_like(gradient) * (gradient.std() + 1e-8)


build = Model
