"""Direction of arrival as a likelihood on the circle: target, loss, decoding, metrics.

Bin k of 360 stands for k degrees, so that the paper's 360° is bin 0.
"""

from typing import NamedTuple

import torch
from torch import Tensor

BINS = 360


def angular_distance(a_deg: Tensor, b_deg: Tensor) -> Tensor:
    """Return the shorter way round between two azimuths, 0 to 180 degrees; shapes broadcast.

    180 - ||a - b| - 180| for angles in [0, 360], as the SLoClas baseline's code has it; any other
    angle is taken modulo 360.
    """
    # remainder takes the divisor's sign: the difference lands in [-180, 180)
    return ((a_deg - b_deg + 180).remainder(360) - 180).abs()


def likelihood(azimuth_deg: Tensor, sigma_deg: float) -> Tensor:
    """Return the target p(k) = exp(-d(k, azimuth)² / sigma²), of SpikSLC-Net's Eq. 16.

    azimuth_deg: (B,), any real value. Returns (B, 360), 1 at the azimuth. d is the distance on the
    circle: with the printed |k - azimuth|, a target at 1° would lose 42 % of its squared mass.
    There is no 2 before sigma².
    """
    bins = torch.arange(BINS, dtype=azimuth_deg.dtype, device=azimuth_deg.device)
    distance = angular_distance(bins, azimuth_deg[:, None])
    return torch.exp(-((distance / sigma_deg) ** 2))


def likelihood_loss(scores: Tensor, azimuth_deg: Tensor, sigma_deg: float) -> Tensor:
    """Return the mean squared error between scores (B, 360) and the target: a scalar.

    The mean is over both axes. Eq. 17 as printed is a sum: 360 times as much, which would leave
    nothing of the classes' loss beside it at lambda 0.99. The SLoClas baseline's code takes the
    mean.
    """
    return (scores.float() - likelihood(azimuth_deg.float(), sigma_deg)).square().mean()


def decode(scores: Tensor) -> Tensor:
    """Return the degree with the highest score: (..., 360) to (...) float32, the first of equals.

    At most half a degree from the peak of a target.
    """
    if scores.shape[-1] != BINS:
        raise ValueError(f"{scores.shape[-1]} scores, not one for each of {BINS} degrees")
    return scores.argmax(-1).float()


class Errors(NamedTuple):
    """n azimuths: mean absolute error on the circle, and how many of them are near enough.

    below_2_5: errors < 2.5° (SpikSLC-Net Eq. 20); up_to_5: errors ≤ 5° (the SLoClas baseline's
    code), which on a grid of 5° takes a neighbour for right. Both are counts: divide by n.
    """

    n: int
    mae_deg: float
    below_2_5: int
    up_to_5: int


def errors(predicted_deg: Tensor, azimuth_deg: Tensor) -> Errors:
    """Compare azimuths (n,) with the true ones (n,), both in degrees.

    Raises ValueError where the shapes differ or nothing is there to compare.
    """
    if predicted_deg.shape != azimuth_deg.shape or predicted_deg.numel() == 0:
        shapes = tuple(predicted_deg.shape), tuple(azimuth_deg.shape)
        raise ValueError(f"no errors between azimuths of shapes {shapes[0]} and {shapes[1]}")
    # float64: 2.5 and 5 lie on the grid of many predictions, and a rounded one would miscount
    error = angular_distance(predicted_deg.double(), azimuth_deg.double())
    return Errors(
        error.numel(), float(error.mean()), int((error < 2.5).sum()), int((error <= 5).sum())
    )
