"""DSLN against torch's layer norm and the definition; its folding against the spec's checks."""

import pytest
import torch
from torch import nn

from pipelines.errors import UsageError
from pipelines.snn.dsln import DSLN
from pipelines.snn.dsln_folding import FrameLinear, fold_after, fold_before
from pipelines.snn.lif import LIF
from pipelines.snn.token_norms import token_norm

STEPS, BATCH, FRAMES, BEFORE, AFTER = 4, 3, 27, 48, 24
VARIANCES = pytest.mark.parametrize("frames", [None, FRAMES], ids=["shared", "per-frame"])
SIDES = pytest.mark.parametrize("side", ["before", "after"])


def sums(batch=BATCH, dtype=torch.float64):
    """What a residual stream holds: whole numbers of spikes, of another density in each frame."""
    torch.manual_seed(1)
    density = torch.linspace(0.05, 0.9, FRAMES)[:, None]
    shape = (3, STEPS, batch, FRAMES, BEFORE)
    return (torch.rand(shape) < density).sum(0).to(dtype)


def pair(side, frames, dtype=torch.float64, silent=False):
    """A DSLN with statistics and parameters of its own, in evaluation, and its linear layer."""
    torch.manual_seed(0)
    norm = DSLN(BEFORE if side == "before" else AFTER, frames=frames)
    linear = nn.Linear(BEFORE, AFTER)
    with torch.no_grad():
        norm.weight.normal_()
        norm.bias.normal_()
        if silent:
            norm.weight.zero_()
        norm.running_variance.uniform_(0.2, 2.0)
    return norm.to(dtype).eval(), linear.to(dtype).eval()


def apart(side, norm, linear, x):
    return linear(norm(x)) if side == "before" else norm(linear(x))


def folded(side, norm, linear):
    return fold_before(norm, linear) if side == "before" else fold_after(linear, norm)


@SIDES
@VARIANCES
@pytest.mark.parametrize("batch", [1, BATCH], ids=["one", "several"])
@pytest.mark.parametrize("silent", [False, True], ids=["gamma", "gamma-0"])
def test_folded_is_the_norm_and_the_layer_to_1e_10(side, frames, batch, silent):
    norm, linear = pair(side, frames, silent=silent)
    x = sums(batch)
    torch.testing.assert_close(
        folded(side, norm, linear)(x), apart(side, norm, linear, x), rtol=1e-10, atol=1e-10
    )


@SIDES
@VARIANCES
def test_folded_is_the_norm_and_the_layer_to_1e_5_in_single_precision(side, frames):
    norm, linear = pair(side, frames, torch.float32)
    x = sums(dtype=torch.float32)
    layer = folded(side, norm, linear)
    assert layer.weight.dtype == torch.float32
    torch.testing.assert_close(layer(x), apart(side, norm, linear, x), rtol=0, atol=1e-5)


@SIDES
@VARIANCES
def test_the_folded_matrix_has_lost_the_mean(side, frames):
    norm, linear = pair(side, frames)
    weight = folded(side, norm, linear).weight
    assert weight.shape == ((AFTER, BEFORE) if frames is None else (FRAMES, AFTER, BEFORE))
    lost = weight.sum(-1) if side == "before" else (weight / norm.gain()[..., None]).sum(-2)
    torch.testing.assert_close(lost, torch.zeros_like(lost), rtol=0, atol=1e-12)


@VARIANCES
@pytest.mark.parametrize("train", [True, False], ids=["training", "inference"])
def test_a_constant_added_to_all_channels_changes_nothing(frames, train):
    norm, _ = pair("before", frames)
    norm.train(train)
    x, offset = sums(), torch.randn(STEPS, BATCH, FRAMES, 1, dtype=torch.float64)
    torch.testing.assert_close(norm(x + offset), norm(x), rtol=1e-10, atol=1e-10)


@SIDES
@VARIANCES
def test_spikes_differ_only_where_the_membrane_is_at_the_threshold(side, frames):
    norm, linear = pair(side, frames, torch.float32)
    with torch.no_grad():
        (linear.weight if side == "before" else norm.weight).mul_(3)  # enough current to fire
    x = sums(dtype=torch.float32)
    currents = apart(side, norm, linear, x)
    lif = LIF(STEPS)
    spikes = lif(currents.flatten(0, 2)).view_as(currents)
    others = lif(folded(side, norm, linear)(x).flatten(0, 2)).view_as(currents)
    assert 0.05 < spikes.mean() < 0.9
    v, doubtful = torch.zeros_like(currents[0]).double(), torch.zeros_like(currents[0]).bool()
    for t in range(STEPS):
        h = v + (currents[t].double() - v) / 2
        doubtful |= (h - 1).abs() < 1e-5
        assert not ((spikes[t] != others[t]) & ~doubtful).any()
        v = h * (1 - spikes[t])
    assert doubtful.double().mean() < 0.01


@SIDES
@VARIANCES
def test_a_norm_in_training_is_not_folded(side, frames):
    norm, linear = pair(side, frames)
    norm.train()
    with pytest.raises(UsageError, match="training"):
        folded(side, norm, linear)


@SIDES
@VARIANCES
def test_another_variance_breaks_the_equality(side, frames):
    norm, linear = pair(side, frames)
    layer = folded(side, norm, linear)
    norm.running_variance *= 1.001
    assert (layer(sums()) - apart(side, norm, linear, sums())).abs().max() > 1e-5


@SIDES
def test_a_layer_without_bias_folds_too(side):
    norm, _ = pair(side, None)
    linear = nn.Linear(BEFORE, AFTER, bias=False).double()
    x = sums()
    torch.testing.assert_close(
        folded(side, norm, linear)(x), apart(side, norm, linear, x), rtol=1e-10, atol=1e-10
    )


def test_one_variance_folds_into_a_plain_layer_and_one_a_frame_into_a_layer_a_frame():
    assert type(folded("before", *pair("before", None))) is nn.Linear
    assert type(folded("before", *pair("before", FRAMES))) is FrameLinear


def test_in_training_at_one_step_it_is_torchs_layer_norm():
    norm, _ = pair("before", None)
    reference = nn.LayerNorm(BEFORE).double()
    reference.load_state_dict({"weight": norm.weight, "bias": norm.bias})
    x = sums()[:1]
    torch.testing.assert_close(norm.train()(x), reference(x), rtol=1e-10, atol=1e-10)


def test_in_inference_with_a_tokens_own_variance_it_is_torchs_layer_norm():
    norm, _ = pair("before", FRAMES)
    x = sums()[:1, :1]
    norm.running_variance.copy_(x.var(-1, correction=0)[0, 0])
    reference = nn.functional.layer_norm(x, (BEFORE,), norm.weight, norm.bias)
    torch.testing.assert_close(norm(x), reference, rtol=1e-10, atol=1e-10)


@VARIANCES
def test_the_variance_is_of_all_steps_and_the_mean_of_each(frames):
    """Written out, token by token, with the running mean over three batches from 1."""
    norm = DSLN(BEFORE, frames=frames).double()
    torch.manual_seed(2)
    batches = torch.randn(3, STEPS, BATCH, FRAMES, BEFORE, dtype=torch.float64) * 2 + 1
    running = torch.ones(FRAMES, dtype=torch.float64)
    for x in batches:
        y = norm(x)
        variance = torch.zeros(BATCH, FRAMES, dtype=torch.float64)
        for b in range(BATCH):
            for i in range(FRAMES):
                centred = torch.stack([x[t, b, i] - x[t, b, i].mean() for t in range(STEPS)])
                variance[b, i] = (centred**2).mean()
                torch.testing.assert_close(y[:, b, i], centred / (variance[b, i] + 1e-5).sqrt())
        running = 0.9 * running + 0.1 * variance.mean(0)
    expected = running if frames else running.mean()
    torch.testing.assert_close(norm.running_variance, expected)


def test_in_inference_a_sample_does_not_depend_on_its_neighbours_nor_a_step_on_another():
    norm, _ = pair("before", None)
    x = sums()
    assert torch.equal(norm(x)[:, 1:2], norm(x[:, 1:2]))
    assert torch.equal(norm(x)[2:3], norm(x[2:3]))


def test_the_other_norms_are_what_their_names_say():
    x = sums()
    layer = torch.nn.functional.layer_norm(x, (BEFORE,))
    torch.testing.assert_close(token_norm("ln", BEFORE).double()(x), layer)
    squared = x.var(-1, correction=0, keepdim=True) + 1e-5  # layer norm has its root below
    torch.testing.assert_close(token_norm("variant-ln", BEFORE).double()(x), layer * squared)
    batch = torch.nn.functional.batch_norm(x.view(-1, BEFORE), None, None, training=True)
    torch.testing.assert_close(token_norm("bn1d", BEFORE).double()(x), batch.view_as(x))


def test_another_number_of_frames_than_variances_is_refused():
    norm, _ = pair("before", FRAMES)
    with pytest.raises(ValueError, match="26 frames"):
        norm(sums()[:, :, :26])
