"""Input streams and loss of the networks that locate and classify a sound."""

import math

from torch import Tensor

from pipelines.ann.output import Output, Targets, cross_entropy
from pipelines.errors import UsageError
from pipelines.snn.doa import likelihood_loss


def microphones_of(channels: int) -> int:
    """Return M of M (M - 1) / 2 pairs and M microphones; ValueError if no M >= 2 gives channels."""
    # M (M - 1) / 2 + M = M (M + 1) / 2 = channels, solved for M in whole numbers
    microphones = (math.isqrt(8 * channels + 1) - 1) // 2
    if microphones < 2 or microphones * (microphones + 1) != 2 * channels:
        raise ValueError(
            f"{channels} channels are no pairs and microphones of an array; "
            "the input is the feature gcc_logmel"
        )
    return microphones


def streams(audio: Tensor, microphones: int, bins: int) -> tuple[Tensor, Tensor]:
    """Split `gcc_logmel`, (..., C, bins, F), into correlations and bands.

    Returns (..., F, pairs*bins) and (..., F, M*bins). Raises UsageError for another number of bins.
    """
    if audio.shape[-2] != bins:
        raise UsageError(
            f"the input has {audio.shape[-2]} lags or bands a frame, the model {bins}",
            f"set model.bins={audio.shape[-2]}",
        )
    frames = audio.movedim(-1, -3)  # (..., F, C, bins): a frame is a token
    pairs = frames.shape[-2] - microphones
    return frames[..., :pairs, :].flatten(-2), frames[..., pairs:, :].flatten(-2)


def joint_loss(
    output: Output, targets: Targets, doa_weight: float, sigma_deg: float, label_smoothing: float
) -> Tensor:
    """Return lambda L_SSL + (1 - lambda) L_SEC, a scalar (SpikSLC-Net Eq. 19), lambda = doa_weight.

    L_SSL: mean squared error of the DoA likelihood. L_SEC: cross-entropy of the classes. Raises
    UsageError where the clips have no azimuth, unless doa_weight is 0.
    """
    classes = cross_entropy(output, targets, label_smoothing)
    if doa_weight == 0:  # without this, data sets that have no azimuths could not train at all
        return classes
    if targets.azimuth_deg is None or output.azimuth is None:
        raise UsageError(
            "there is no azimuth to learn from: not every clip has one",
            "set model.doa_weight=0 to learn the classes alone, or choose another data set",
        )
    located = likelihood_loss(output.azimuth, targets.azimuth_deg, sigma_deg)
    return doa_weight * located + (1 - doa_weight) * classes
