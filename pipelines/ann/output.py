"""The output of every model, its targets, and the losses of its classes."""

from typing import Annotated, NamedTuple

from pydantic import Field
from torch import Tensor
from torch.nn import functional

from pipelines.ann.precision import widened


class Targets(NamedTuple):
    """labels: (B,) int64. azimuth_deg: (B,) float32 in [0, 360); None where it is not known."""

    labels: Tensor
    azimuth_deg: Tensor | None = None


class Output(NamedTuple):
    """logits: (B, classes); the largest is the prediction. The rest is None where a model has none.

    audio_residual, visual_residual: (T, B, N, D). side_logits: (B, classes) each, of heads that
    are trained and do not predict. step_logits: (T, B, classes), whose mean over T, or count, is
    `logits`. azimuth: (B, 360), a score for each degree. embedding: (B, F), the head's input.
    """

    logits: Tensor
    audio_residual: Tensor | None = None
    visual_residual: Tensor | None = None
    side_logits: tuple[Tensor, ...] = ()
    step_logits: Tensor | None = None
    azimuth: Tensor | None = None
    embedding: Tensor | None = None


def cross_entropy(output: Output, targets: Targets, label_smoothing: float = 0.0) -> Tensor:
    """Return the cross-entropy of the logits, a scalar in float32 or better."""
    return functional.cross_entropy(
        widened(output.logits), targets.labels, label_smoothing=label_smoothing
    )


TetShare = Annotated[
    Annotated[float, Field(ge=0, lt=1)] | None,
    Field(
        description="Share lambda of the regulariser in temporal efficient training; "
        "null trains with the cross-entropy of the mean."
    ),
]


def temporal_efficient(
    output: Output,
    targets: Targets,
    share: float,
    label_smoothing: float = 0.0,
    level: float = 1.0,
) -> Tensor:
    """Return the mean of every step's own cross-entropy, with a pull of all logits to one level.

    share: lambda, of the squared distance to `level`, the rest is cross-entropy; level: phi, the
    firing threshold. output.step_logits: (T, B, classes). Scalar, float32 or better.
    Source: Deng et al., "Temporal efficient training", ICLR 2022 (L_TET, L_MSE, L_TOTAL).
    """
    if output.step_logits is None:
        raise ValueError("this network has no logits of single steps")
    steps = widened(output.step_logits)  # (T, B, classes)
    labels = targets.labels.repeat(len(steps))
    entropy = functional.cross_entropy(steps.flatten(0, 1), labels, label_smoothing=label_smoothing)
    # L_TOTAL = (1 - lambda) L_TET + lambda L_MSE
    return (1 - share) * entropy + share * (steps - level).square().mean()


def class_loss(
    output: Output, targets: Targets, label_smoothing: float, tet: float | None
) -> Tensor:
    """Return the loss of the classes: temporal_efficient with lambda tet, or cross_entropy."""
    if tet is None:
        return cross_entropy(output, targets, label_smoothing)
    return temporal_efficient(output, targets, tet, label_smoothing)
