"""PMR: prototypical modal rebalance (Fan et al. 2023): prototypes help the slower modality.

A prototype is the mean feature of a class, in one modality. The modality whose features separate
the classes worse gets a cross-entropy on distances to its prototypes; in the first steps the
better one is kept from becoming certain by an entropy term, which the authors' code lacks. There a
prototype is renewed once an epoch, from a tenth of the training clips; here at every step, over
about as many.
"""

from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from pipelines.ann.output import Output, Targets, cross_entropy
from pipelines.ann.two_resnets import TwoResNets, Width

PRESETS: dict[str, dict[str, Any]] = {"paper": {}}
ASSUMED = ("alpha", "momentum", "entropy_weight", "entropy_steps")
# similarity to a class that had no clip yet; finite, for 0 * inf would be NaN
UNSEEN = -1e4


def similarities(z: Tensor, prototypes: Tensor, seen: Tensor) -> Tensor:
    """Return minus the Euclidean distance of (B, F) features to (K, F) prototypes: (B, K).

    seen: (K,), whether a class has a prototype.
    """
    distance = torch.linalg.vector_norm(z[:, None] - prototypes, dim=-1)
    return torch.where(seen, -distance, UNSEEN)


def strengths(audio: Tensor, visual: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return how much audio and vision need help: beta and gamma, scalars in 0-1, one of them 0.

    audio, visual: (B, K) similarities. With rho the ratio of the true classes' probabilities,
    audio over vision: clip(1 / rho - 1, 0, 1) and clip(rho - 1, 0, 1). The authors' code has 1
    for whatever is above 0.
    """
    # detached: beta and gamma weigh the losses and are not learned
    s_a, s_v = (x.detach().softmax(1).gather(1, labels[:, None]).sum() for x in (audio, visual))
    return (s_v / s_a - 1).clamp(0, 1), (s_a / s_v - 1).clamp(0, 1)


def entropy(logits: Tensor) -> Tensor:
    """Return the mean entropy of softmax(logits), (B, K): a scalar in nats."""
    return -(logits.softmax(1) * logits.log_softmax(1)).sum(1).mean()


class Model(nn.Module):
    """Two ResNet-18s with prototypes, (2, classes, F): audio's, then the images'."""

    prototypes: Tensor
    seen: Tensor
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
            Field(
                ge=0,
                le=1000,
                description="Weight alpha of the cross-entropy on distances to prototypes.",
            ),
        ] = 1.0,
        momentum: Annotated[
            float,
            Field(
                ge=0, lt=1, description="Share of a prototype that is kept when a step renews it."
            ),
        ] = 0.9,
        entropy_weight: Annotated[
            float,
            Field(ge=0, le=1000, description="Weight of the entropy term of the better modality."),
        ] = 0.1,
        entropy_steps: Annotated[
            int,
            Field(
                ge=0, description="Number of training steps, from the first, with the entropy term."
            ),
        ] = 1000,
    ) -> None:
        super().__init__()
        self.net = TwoResNets(
            classes=classes,
            audio_channels=audio_channels,
            visual_channels=visual_channels,
            width=width,
        )
        self.alpha, self.momentum = alpha, momentum
        self.entropy_weight, self.entropy_steps = entropy_weight, entropy_steps
        self.register_buffer("prototypes", torch.zeros(2, classes, self.net.audio.features))
        self.register_buffer("seen", torch.zeros(classes, dtype=torch.bool))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def forward(self, audio: Tensor, visual: Tensor) -> Output:
        """Classify pairs: (B, C, H, W), or (T, B, C, H, W) if it changes over time."""
        output: Output = self.net(audio, visual)
        return output

    def loss(self, output: Output, targets: Targets, label_smoothing: float = 0.0) -> Tensor:
        """Return the cross-entropy, a scalar; in training renew the prototypes, add their terms."""
        loss = cross_entropy(output, targets, label_smoothing)
        if not self.training:
            return loss
        features = self.net.modality_features(output)
        self._renew(torch.stack(features).detach(), targets.labels)
        audio, visual = (
            similarities(z, p, self.seen) for z, p in zip(features, self.prototypes, strict=True)
        )
        beta, gamma = strengths(audio, visual, targets.labels)
        loss = loss + self.alpha * (
            beta * functional.cross_entropy(audio, targets.labels)
            + gamma * functional.cross_entropy(visual, targets.labels)
        )
        early = self.entropy_weight * (self.steps < self.entropy_steps)
        self.steps += 1
        # crosswise: the modality that needs no help is the better one, and its entropy is raised
        return loss - early * (gamma * entropy(audio) + beta * entropy(visual))

    @torch.no_grad()
    def _renew(self, z: Tensor, labels: Tensor) -> None:
        """Move the prototypes of the classes in (2, B, F) features; a first one is their mean."""
        members = labels[:, None] == torch.arange(len(self.seen), device=labels.device)  # (B, K)
        # no matrix product: autocast would make bfloat16 of it
        sums = torch.stack([(z_m[:, None] * members[..., None]).sum(0) for z_m in z])
        means = sums / members.sum(0).clamp_min(1)[:, None]
        moved = torch.where(
            self.seen[:, None], self.prototypes.lerp(means, 1 - self.momentum), means
        )
        here = members.any(0)  # (K,): a class without a clip in this batch keeps its prototype
        # a new tensor, not the old one written to: the backward pass may still need that
        self.prototypes = torch.where(here[:, None], moved, self.prototypes)
        self.seen = self.seen | here


build = Model
