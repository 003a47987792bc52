"""Spike-count loss: target counts for the neuron of the true class and for the others."""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

CountTarget = Literal["truncated", "exact"]


def target_count(time_steps: int, rate: float, target: CountTarget) -> float:
    """Return T times a firing rate in 0-1 (SMLP Eq. 15).

    "truncated" cuts it to a whole number of spikes, as snnTorch's `mse_count_loss` does: at T = 8,
    rates of 0.90 and 0.10 ask for 7 and 0 spikes, and not for 7.2 and 0.8.
    """
    return float(int(time_steps * rate)) if target == "truncated" else time_steps * rate


def count_loss(
    counts: Tensor,
    labels: Tensor,
    *,
    time_steps: int,
    correct_rate: float,
    incorrect_rate: float,
    target: CountTarget = "truncated",
    label_smoothing: float = 0.0,
) -> Tensor:
    """Return the mean squared error of spike counts over clips and classes, a scalar (SMLP Eq. 16).

    counts: (B, classes), spikes in T steps. labels: (B,) int64. label_smoothing: share of a
    label that is spread over all classes. snnTorch divides this by T; Eq. 16 does not.
    """
    correct = target_count(time_steps, correct_rate, target)
    incorrect = target_count(time_steps, incorrect_rate, target)
    classes = counts.shape[1]
    # 1 for the true class and 0 for the others, softened by label_smoothing
    share = torch.full_like(counts, label_smoothing / classes, dtype=torch.float32)
    share.scatter_(1, labels[:, None], 1 - label_smoothing + label_smoothing / classes)
    targets = incorrect + (correct - incorrect) * share  # (B, classes)
    return functional.mse_loss(counts.float(), targets)
