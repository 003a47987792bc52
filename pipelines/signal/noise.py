"""Add white Gaussian noise to an input, at a signal-to-noise ratio (S-CMRL Eq. 19)."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from pipelines.signal.counter_rng import key_of, normal

STREAM = 100  # apart from those of `crops`, whose keys a training step shares


def add_noise(
    x: Tensor,
    snr_db: float | Tensor,
    keys: Tensor,
    power: Literal["sample", "batch"] = "sample",
) -> Tensor:
    """Return x + n with n = sqrt(E[x^2] / 10^(SNR/10)) * N(0, 1) (S-CMRL Eq. 19).

    x: (B, ...) any units; integers are read as float32. snr_db: one for all, or (B,); infinity
    leaves x as it is. keys: (B,) int64, from `noise_keys`. Returns float32 of x's shape.
    power: E[x^2] "sample" by sample, or over the whole "batch" (the S-CMRL authors' code), which
    makes the result depend on what else is in the batch.
    Never clips: the result may leave the range of x. Where E[x^2] is 0 there is no ratio to keep,
    and x comes back unchanged.
    """
    # E[x^2], (B,), in float64: a sum of many small squares
    mean_square = x.double().square().flatten(1).mean(dim=1)
    if power == "batch":
        mean_square = mean_square.mean().expand_as(mean_square)
    snr = torch.as_tensor(snr_db, dtype=torch.float64, device=x.device)
    deviation = (mean_square / 10 ** (snr / 10)).sqrt().to(torch.float32)
    noise = normal(keys.to(x.device), tuple(x.shape[1:]), STREAM)
    # in place: the noise is ours alone, and as large as the input
    return noise.mul_(deviation.view(-1, *[1] * (x.ndim - 1))).add_(x)


def noise_keys(seed: int, clip_ids: Sequence[str], modality: str, snr_db: float) -> Tensor:
    """Make the noise keys of named clips: (B,) int64 on the CPU.

    modality: "audio" or "visual". Each clip, modality and level draws its own noise, whichever
    others are run beside it and in whatever order.
    """
    level = float(snr_db) + 0.0  # 5 and 5.0 are one level, and so are 0.0 and -0.0
    return torch.tensor(
        [key_of("noise", seed, modality, level, clip_id) for clip_id in clip_ids],
        dtype=torch.int64,
    )
