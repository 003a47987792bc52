"""Batch norm of one copy that stands for many, against torch's of all of them."""

import pytest
import torch
from torch import nn

from pipelines.snn.patch_splitting import StaticBatchNorm


@pytest.mark.parametrize("copies", [1, 4])
def test_batch_norm_of_one_copy_stands_for_batch_norm_of_all(copies: int) -> None:
    torch.manual_seed(0)
    ours, theirs = StaticBatchNorm(3), nn.BatchNorm2d(3)
    for _ in range(3):
        x = torch.randn(2, 3, 2, 2) * 3 + 1
        one, many = x.clone().requires_grad_(), x.clone().requires_grad_()
        out, expected = ours.forward_copies(one, copies), theirs(many.repeat(copies, 1, 1, 1))
        torch.testing.assert_close(out.repeat(copies, 1, 1, 1), expected)
        weight = torch.randn_like(out)
        (out * weight).sum().backward()
        (expected * weight.repeat(copies, 1, 1, 1)).sum().backward()
        torch.testing.assert_close(one.grad * copies, many.grad, rtol=1e-4, atol=1e-5)  # type: ignore[operator]
    torch.testing.assert_close(ours.running_mean, theirs.running_mean)
    torch.testing.assert_close(ours.running_var, theirs.running_var)
    assert ours.num_batches_tracked == 3
    ours.eval()
    theirs.eval()
    torch.testing.assert_close(ours.forward_copies(x, copies), theirs(x))
