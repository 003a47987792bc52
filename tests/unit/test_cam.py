"""Grad-CAM++ against maps that are known in closed form, and the rule for where to look."""

import pytest
import torch
from torch import nn
from torch.autograd import grad

from pipelines.ann.output import Output
from pipelines.errors import UsageError
from pipelines.evaluation.cam import grad_cam_pp, last_visual_layer, over_time, visual_maps
from pipelines.training.start import frozen_parts
from tests.unit.test_every_system import MODELS, built

SEEING = {
    "s-cmrl": "visual.mlp",
    "weight-attention": "visual_mlp",
    "sca": "visual_mlp",
    "cmci": "visual_patches",
    "l2-act-spike-net": "features.blocks",
    "smlp": "visual.features.blocks",
    # of 16 x 16 pixels its last two stages leave one place
    **dict.fromkeys(("resnet18-joint", "ogm-ge", "mslr", "pmr", "agm"), "net.visual.layer2"),
}


class Pooled(nn.Module):
    """logits = mean over the places of one 1x1 convolution of relu(image): linear in its input."""

    def __init__(self, weight):
        super().__init__()
        self.visual_conv = nn.Conv2d(len(weight[0]), len(weight), 1, bias=False)
        self.visual_conv.weight.data = torch.tensor(weight)[:, :, None, None]
        self.head = nn.Linear(len(weight), len(weight), bias=False)
        nn.init.eye_(self.head.weight)

    def forward(self, visual):
        return Output(self.head(self.visual_conv(visual).mean((2, 3))))


def test_by_hand():
    # g = 1/2 and Σ A = 6: alpha = (1/4) / (2/4 + 6/8) = 1/5; w = 4 · 1/5 · 1/2 = 2/5
    maps = torch.tensor([[[[0.0, 1.0], [2.0, 3.0]]]])
    found = grad_cam_pp(maps, torch.full_like(maps, 0.5))
    torch.testing.assert_close(found, 0.4 * maps[:, 0])


def test_alpha_is_the_quotient_of_derivatives_that_the_paper_starts_from():
    # Eq. 10: alpha = Y'' / (2 Y'' + Σ_ab A_ab Y'''), the derivatives of Y = exp(S) by one pixel,
    # taken by autograd, for an S that is linear in A
    torch.manual_seed(0)
    a = torch.rand(3, 4, 4, dtype=torch.float64, requires_grad=True)
    w = torch.randn(3, 4, 4, dtype=torch.float64)
    weights = torch.zeros(3, dtype=torch.float64)
    for k, i, j in torch.cartesian_prod(torch.arange(3), torch.arange(4), torch.arange(4)).tolist():
        derivatives, y = [], (w * a).sum().exp()
        for _ in range(3):
            y = grad(y, a, create_graph=True)[0][k, i, j]
            derivatives.append(y)
        first, second, third = derivatives
        alpha = second / (2 * second + a[k].sum() * third)
        weights[k] += (alpha * first.relu()).detach()
    wanted = (weights[:, None, None] * a.detach()).sum(0).relu()
    found = grad_cam_pp(a.detach()[None], w[None])[0] * (w * a.detach()).sum().exp()
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=0)


def test_the_map_of_a_network_that_pools_is_the_weighted_input():
    # A_c = (W x)_c, S_c = mean A_c: only channel c has a gradient, so the map is A_c to scale
    torch.manual_seed(1)
    weight = [[1.0, 0.5], [0.25, 2.0], [-1.0, -3.0]]
    x, classes = torch.rand(3, 2, 5, 4), torch.tensor([0, 1, 2])
    found = visual_maps(Pooled(weight), {"visual": x}, classes)
    wanted = torch.einsum("bc,bchw->bhw", torch.tensor(weight), x)
    wanted = wanted / wanted.amax((1, 2), keepdim=True)
    wanted[2] = 0  # nothing in the picture speaks for class 2
    torch.testing.assert_close(found, wanted)
    assert found.min() >= 0 and found.max() == 1


def test_a_turned_picture_has_a_turned_map():
    torch.manual_seed(2)
    model = nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU(), nn.Conv2d(8, 8, 1), nn.ReLU())
    head, x = nn.Linear(8, 4), torch.randn(2, 3, 6, 6)

    def cam(x):
        maps = model(x)
        return grad_cam_pp(maps, grad(head(maps.mean((2, 3)))[:, 1].sum(), maps)[0])

    torch.testing.assert_close(cam(x.rot90(1, (2, 3))), cam(x).rot90(1, (1, 2)))


@pytest.mark.parametrize("scale", [0.0, 1e-20, 1.0, 1e15])
def test_gradients_of_any_size_give_no_nan(scale):
    maps, gradients = torch.rand(2, 3, 4, 4), scale * torch.randn(2, 3, 4, 4)
    found = grad_cam_pp(maps, gradients)
    assert found.isfinite().all()
    assert bool(found.any()) == (scale > 0)


def test_maps_of_zeros_give_zeros_and_negative_ones_do_not_turn_the_sign():
    zeros = torch.zeros(1, 2, 3, 3)
    assert not grad_cam_pp(zeros, torch.ones_like(zeros)).any()
    for value in (-0.4, -0.5, -0.6):  # Eq. 19's denominator is 2 + 4 value: 0 in the middle
        assert not grad_cam_pp(torch.full((1, 1, 2, 2), value), torch.ones(1, 1, 2, 2)).any()


def test_the_map_of_a_still_input_does_not_depend_on_the_number_of_steps():
    # the score takes the mean over T: each of T equal steps has the T-th part of the gradient
    maps, gradients = torch.rand(2, 3, 4, 4), torch.randn(2, 3, 4, 4)
    once = grad_cam_pp(maps, gradients)
    for steps in (1, 4, 7):
        many = over_time(
            maps.repeat(steps, 1, 1, 1), (gradients / steps).repeat(steps, 1, 1, 1), steps
        )
        torch.testing.assert_close(grad_cam_pp(*many), once)


def test_time_is_slowest():
    # two steps of three clips; one step's map is the other's double
    step = torch.rand(3, 2, 4, 4)
    rates, slopes = over_time(torch.cat([step, 2 * step]), torch.cat([step, 2 * step]), 2)
    torch.testing.assert_close(rates, 1.5 * step)
    torch.testing.assert_close(slopes, 3 * step)


def awake(name):
    """Build a small network whose neurons fire: normed currents with a deviation of 3."""
    model, inputs, targets = built(name)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.constant_(module.weight, 3)
            module.momentum = 1.0  # one batch makes the running means
    if name == "sca":  # its features are what its attention lets through
        model.visual_attention.scale = model.audio_attention.scale = 10.0
    model.train()
    with torch.no_grad():
        model(**inputs)
    return model.eval(), inputs, targets.labels


@pytest.mark.parametrize("name", MODELS)
def test_the_last_layer_of_the_visual_branch_is_found(name):
    if name not in SEEING:
        model, inputs, _ = built(name)
        with pytest.raises(UsageError):
            last_visual_layer(model, inputs)
        return
    model, inputs, classes = awake(name)
    layer = last_visual_layer(model, inputs)
    assert layer.name == SEEING[name]
    assert layer.size == ((4, 4) if layer.name.endswith(("mlp", "patches")) else (2, 2))
    before = {k: v.clone() for k, v in model.state_dict().items()}
    found = visual_maps(model, inputs, classes)
    assert found.shape == (5, *layer.size)
    assert found.isfinite().all() and found.any() and found.min() >= 0 and found.max() == 1
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert torch.is_grad_enabled() and all(p.grad is None for p in model.parameters())


def test_a_clips_map_is_its_own():
    model, inputs, classes = awake("s-cmrl")
    together = visual_maps(model, inputs, classes)
    for i in range(5):
        alone = visual_maps(model, {k: v[i : i + 1] for k, v in inputs.items()}, classes[i : i + 1])
        torch.testing.assert_close(alone[0], together[i], rtol=1e-4, atol=1e-5)


class Numbered(nn.Module):
    """A convolution that makes 4 x 8 places of a picture, and tokens that are their numbers."""

    def __init__(self):
        super().__init__()
        self.visual_conv, self.visual_tokens = nn.Conv2d(3, 1, 4, stride=4), nn.Identity()

    def forward(self, visual):
        self.visual_conv(visual)
        numbers = torch.arange(32.0).view(1, 1, 32, 1).expand(2, len(visual), 32, 3)
        return Output(self.visual_tokens(numbers).mean((0, 2)))


def test_tokens_lie_row_by_row_as_the_pixels_of_the_last_convolution():
    found = visual_maps(Numbered(), {"visual": torch.zeros(2, 3, 16, 32)}, torch.tensor([1, 2]))
    for one in found:
        torch.testing.assert_close(one, torch.arange(32.0).view(4, 8) / 31)


def test_a_frozen_branch_has_a_map_too():
    # SMLP as published: its branches are trained alone, and frozen
    model, inputs, classes = awake("smlp")
    wanted = visual_maps(model, inputs, classes)
    frozen_parts(model, ["visual"])
    assert wanted.any() and not any(p.requires_grad for p in model.visual.parameters())
    torch.testing.assert_close(visual_maps(model, inputs, classes), wanted, rtol=0, atol=0)
