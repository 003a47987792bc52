"""AGM: adaptive gradient modulation (Li et al. 2023) scales each modality's share of the gradient.

A modality's share is its Shapley value: the logits of both inputs against those of one alone, the
other being zero, the mean of the training clips. The gradient through the better modality's share
is made smaller, the other's larger. As in the authors' code for CREMA-D.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from pipelines.ann.output import Output, Targets, cross_entropy
from pipelines.ann.two_resnets import TwoResNets, Width

PRESETS: dict[str, dict[str, Any]] = {"paper": {}}
ASSUMED = ("alpha",)
# bounds in the authors' code: of a probability, so that its logarithm is finite, and of tau - r
LEAST, MOST = 1e-8, 10.0


def shapley(both: Tensor, audio_only: Tensor, visual_only: Tensor) -> tuple[Tensor, Tensor]:
    """Return audio's and vision's shares of the logits, (B, classes) each; their sum is `both`.

    The logits of no input at all count as 0, as in the authors' code.
    """
    return (both - visual_only + audio_only) / 2, (both - audio_only + visual_only) / 2


def score(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean of -log p of the true class, of logits (B, classes): a scalar in nats."""
    p = logits.detach().softmax(1).gather(1, labels[:, None])
    return -p.clamp_min(LEAST).log().mean()


def coefficients(now: Tensor, running: Tensor, alpha: float) -> Tensor:
    """Return exp(-alpha (r - tau)) for audio and vision, (2,), from their scores, (2,) each.

    r = exp(the other's score - its own) is above 1 for the better one; tau is the same of the
    running scores.
    """
    # flip(0): the other modality's score beside each one's own
    r, tau = ((x.flip(0) - x).exp() for x in (now, running))
    return (alpha * (tau - r).clamp_max(MOST)).exp()


class Model(nn.Module):
    """Two ResNet-18s; in training each also runs on zeros, in evaluation mode: see `_frozen`."""

    running: Tensor
    steps: Tensor

    def __init__(
        self,
        *,
        classes: int,
        audio_channels: int,
        visual_channels: int,
        width: Width = 64,
        alpha: Annotated[
            float, Field(ge=0, le=10, description="Strength alpha of the gradient modulation.")
        ] = 1.0,
    ) -> None:
        super().__init__()
        self.net = TwoResNets(
            classes=classes,
            audio_channels=audio_channels,
            visual_channels=visual_channels,
            width=width,
        )
        self.alpha = alpha
        # in checkpoints, so that a resumed run scales as one that never stopped
        self.register_buffer("running", torch.zeros(2))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def forward(self, audio: Tensor, visual: Tensor) -> Output:
        """Classify pairs: (B, C, H, W), or (T, B, C, H, W) if it changes over time.

        In training `side_logits` are the two modalities' shares.
        """
        output: Output = self.net(audio, visual)
        if not self.training:  # the shares serve the loss alone: three more passes saved
            return output
        with self._frozen():
            z_a, z_v = self.net.features(audio, visual)
            # one clip of zeros stands for a batch of them: without batch statistics all are alike
            none_a, none_v = self.net.features(*(_zeros(x) for x in (audio, visual)))
            audio_only = self.net.classify(z_a, none_v).logits
            visual_only = self.net.classify(none_a, z_v).logits
        return output._replace(side_logits=shapley(output.logits, audio_only, visual_only))

    def loss(self, output: Output, targets: Targets, label_smoothing: float = 0.0) -> Tensor:
        """Return the cross-entropy, a scalar; in training its gradient is of the scaled shares."""
        if not output.side_logits:
            return cross_entropy(output, targets, label_smoothing)
        now = torch.stack([score(x.float(), targets.labels) for x in output.side_logits])
        scales = coefficients(now, self.running, self.alpha)
        # after the scores are compared: tau is of the steps before this one
        self.steps += 1
        self.running = self.running + (now - self.running) / self.steps
        logits = output.logits.detach()  # the value; what is added is 0 and carries the gradient
        for share, scale in zip(output.side_logits, scales, strict=True):
            logits = logits + scale * (share - share.detach())
        return functional.cross_entropy(
            logits.float(), targets.labels, label_smoothing=label_smoothing
        )

    @contextmanager
    def _frozen(self) -> Iterator[None]:
        """Use the norms' running statistics and leave them as they are: zeros are not clips."""
        before = [(module, module.training) for module in self.net.modules()]
        self.net.eval()
        try:
            yield
        finally:
            for module, training in before:
                module.training = training


def _zeros(x: Tensor) -> Tensor:
    """Return one clip of zeros in the shape of (B, C, H, W) or (T, B, C, H, W)."""
    return torch.zeros_like(x.narrow(-4, 0, 1))


build = Model
