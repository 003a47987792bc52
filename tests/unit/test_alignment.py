"""Alignment losses (S-CMRL Eq. 17) against cross-entropy and sums over pairs."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from pipelines.snn.alignment import instance_alignment, supervised_alignment


def residuals(seed: int) -> Tensor:
    x = torch.rand(3, 5, 4, 6, generator=torch.Generator().manual_seed(seed))
    return x.requires_grad_()


def test_instance_alignment_is_cross_entropy_with_the_clip_itself_as_target() -> None:
    a, v = residuals(1), residuals(2)
    loss = instance_alignment(a, v, 0.1)
    expected = [
        functional.cross_entropy(a[t].mean(1) @ v[t].mean(1).T / 0.1, torch.arange(5))
        for t in range(3)
    ]
    torch.testing.assert_close(loss, torch.stack(expected).mean())


def test_supervised_alignment_is_a_mean_over_all_pairs_of_those_of_one_class() -> None:
    a, v = residuals(1), residuals(2)
    labels = torch.tensor([0, 1, 0, 2, 1])
    x, y = a.detach().mean((0, 2)).numpy(), v.detach().mean((0, 2)).numpy()
    total = 0.0
    for i in range(5):
        similar = [math.exp(float(x[i] @ y[j]) / 0.1) for j in range(5)]
        for j in range(5):
            if labels[i] == labels[j]:
                total -= math.log(similar[j] / sum(similar))
    assert float(supervised_alignment(a, v, labels, 0.1)) == pytest.approx(total / 5**2, rel=1e-5)


def test_alignment_per_positive_counts_a_clip_once_however_frequent_its_class() -> None:
    silent, labels = torch.zeros(2, 5, 4, 3), torch.tensor([0, 0, 0, 1, 1])
    # every pair has probability 1 / 5, and a clip has 3 or 2 positives
    every, each = (
        float(supervised_alignment(silent, silent, labels, 0.1, per_positive=on))
        for on in (False, True)
    )
    assert every == pytest.approx((3 * 3 + 2 * 2) / 5**2 * math.log(5))
    assert each == pytest.approx(math.log(5))
    a, v = torch.rand(2, 2, 5, 4, 3, generator=torch.Generator().manual_seed(0)).unbind()
    alone = torch.arange(5)
    torch.testing.assert_close(
        supervised_alignment(a, v, alone, 0.1, per_positive=True),
        5 * supervised_alignment(a, v, alone, 0.1),
    )


@pytest.mark.parametrize("kind", ["instance", "supervised"])
def test_alignment_has_a_gradient_in_both_modalities_and_falls_along_it(kind: str) -> None:
    def loss_of(a: Tensor, v: Tensor) -> Tensor:
        if kind == "instance":
            return instance_alignment(a, v, 0.1)
        return supervised_alignment(a, v, torch.tensor([0, 1, 0, 2, 1]), 0.1)

    a, v = residuals(1), residuals(2)
    loss = loss_of(a, v)
    loss.backward()
    assert a.grad is not None
    assert v.grad is not None
    assert a.grad.abs().max() > 0
    assert v.grad.abs().max() > 0
    with torch.no_grad():
        assert loss_of(a - 0.01 * a.grad, v - 0.01 * v.grad) < loss


def test_alignment_of_silent_residuals_is_the_logarithm_of_the_batch() -> None:
    silent = torch.zeros(3, 5, 4, 6)
    assert float(instance_alignment(silent, silent, 0.1)) == pytest.approx(math.log(5))
    labels = torch.arange(5)
    # one positive of five pairs each
    supervised = float(supervised_alignment(silent, silent, labels, 0.1))
    assert supervised == pytest.approx(math.log(5) / 5)
