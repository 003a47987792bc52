"""The leaky neuron against snnTorch's documented equations, spikingjelly, and closed forms."""

import math

import pytest
import snntorch
import torch
from spikingjelly.activation_based import neuron, surrogate

from pipelines.snn.snntorch_leaky import Leaky, surrogate_derivative

T = 6


def by_hand(x, beta, threshold):
    """U[t+1] = beta U[t] + I[t+1] - R U_thr, R = 1 where U[t] > U_thr; one scalar at a time."""
    membrane, spikes = 0.0, []
    for current in x:
        reset = 1.0 if membrane > threshold else 0.0
        membrane = beta * membrane + current - reset * threshold
        spikes.append(1.0 if membrane > threshold else 0.0)
    return spikes


def written_out(x, soft, *, beta, threshold=1.0):
    """The same by autograd: a step whose gradient is soft's, a reset that has none."""
    membrane, before, spikes = torch.zeros_like(x[0]), torch.zeros_like(x[0]), []
    for current in x:
        membrane = beta * membrane + current - threshold * before
        stand_in = soft(membrane - threshold)
        spike = (membrane > threshold).double() + stand_in - stand_in.detach()
        spikes.append(spike)
        before = spike.detach()
    return torch.stack(spikes)


def test_a_hand_computed_train_of_spikes():
    # beta 0.5, current 1: h = 1 (silent), 1.5 fires, 0.75 + 1 - 1, 0.375 + 1 fires, 0.6875 + 1 - 1
    spikes = Leaky(5, beta=0.5)(torch.ones(5, 1))
    assert spikes.flatten().tolist() == [0, 1, 0, 1, 0]


@pytest.mark.parametrize("flag", [False, True], ids=["above", "at"])
def test_the_threshold_itself_fires_only_if_told_to(flag):
    at = torch.tensor([[1.0]])
    assert Leaky(1, fires_at_threshold=flag)(at).item() == flag
    assert Leaky(1, fires_at_threshold=flag)(at + 1e-6).item() == 1
    assert Leaky(1, fires_at_threshold=flag)(at - 1e-6).item() == 0


@pytest.mark.parametrize(("beta", "threshold"), [(0.95, 1.0), (0.5, 0.3), (0.0, 1.0), (1.0, 2.0)])
def test_forward_is_snntorchs_documented_equation(beta, threshold):
    torch.manual_seed(0)
    x = (2 * torch.randn(T, 300) + 0.5).double()
    spikes = Leaky(T, beta=beta, v_threshold=threshold)(x)
    assert 0.1 < spikes.mean() < 0.9
    for i in range(x.shape[1]):
        assert spikes[:, i].tolist() == by_hand(x[:, i].tolist(), beta, threshold)


@pytest.mark.parametrize("beta", [0.5, 0.95])
@pytest.mark.parametrize("threshold", [1.0, 0.4])
@pytest.mark.parametrize("reset", ["subtract", "zero"])
@pytest.mark.parametrize("surrogate", ["atan", "fast-sigmoid"])
def test_spikes_and_gradient_are_snntorchs(beta, threshold, reset, surrogate):
    torch.manual_seed(0)
    x = 2 * torch.randn(T, 300)
    ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    step = {
        "atan": snntorch.surrogate.atan(alpha=2.0),
        "fast-sigmoid": snntorch.surrogate.fast_sigmoid(slope=2.0),
    }[surrogate]
    node = snntorch.Leaky(beta=beta, threshold=threshold, reset_mechanism=reset, spike_grad=step)
    membrane, spikes = torch.zeros(300), []
    for current in theirs:
        spike, membrane = node(current, membrane)
        spikes.append(spike)
    b = torch.stack(spikes)
    a = Leaky(T, beta=beta, v_threshold=threshold, reset=reset, surrogate=surrogate)(ours)
    assert torch.equal(a, b)
    grad = torch.randn_like(a)
    a.backward(grad)
    b.backward(grad)
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-5, atol=1e-6)


SOFT = {
    "atan": lambda v, a: torch.atan(math.pi * v * a / 2) / math.pi,  # Eq. 18
    "fast-sigmoid": lambda v, k: v / (1 + k * v.abs()),  # Eq. 21
}


@pytest.mark.parametrize(
    ("name", "slope"), [("atan", 2.0), ("atan", 0.7), ("fast-sigmoid", 5.0), ("fast-sigmoid", 25.0)]
)
def test_the_surrogates_are_the_derivatives_of_the_printed_functions(name, slope):
    v = torch.linspace(-3, 3, 601, dtype=torch.float64).requires_grad_()
    SOFT[name](v, slope).sum().backward()
    ours = surrogate_derivative(v.detach(), name, slope)
    torch.testing.assert_close(ours, v.grad, rtol=1e-12, atol=0)
    assert ours.max() == ours[300] > 0  # Eq. 22 as printed is 0 there


@pytest.mark.parametrize(
    ("name", "slope", "beta"), [("atan", 2.0, 0.95), ("fast-sigmoid", 5.0, 0.6)]
)
def test_the_gradient_is_that_of_the_equations_with_a_detached_reset(name, slope, beta):
    torch.manual_seed(0)
    x = (2 * torch.randn(T, 3, 40)).double()
    ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    layer = Leaky(T, beta=beta, surrogate=name, slope=slope)
    a = layer(ours.flatten(0, 1)).view_as(x)
    b = written_out(theirs, lambda v: SOFT[name](v, slope), beta=beta)
    torch.testing.assert_close(a, b, rtol=0, atol=1e-12)
    grad = torch.randn_like(a)
    a.backward(grad)
    b.backward(grad)
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("detach", [False, True], ids=["reset-in-gradient", "reset-detached"])
@pytest.mark.parametrize("reset", ["subtract", "zero"])
def test_with_every_flag_turned_it_is_spikingjellys_neuron(reset, detach):
    torch.manual_seed(0)
    x = (2 * torch.randn(T, 3, 40) + 0.5).double()
    ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    layer = Leaky(
        T, beta=0.75, reset=reset, reset_delay=False, fires_at_threshold=True, detach_reset=detach
    )
    reference = neuron.LIFNode(
        tau=4.0,
        decay_input=False,
        v_reset=None if reset == "subtract" else 0.0,
        surrogate_function=surrogate.ATan(alpha=2.0),
        detach_reset=detach,
        step_mode="m",
    )
    a, b = layer(ours.flatten(0, 1)).view_as(x), reference(theirs)
    assert torch.equal(a, b)
    grad = torch.randn_like(a)
    a.backward(grad)
    b.backward(grad)
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-10, atol=1e-12)


def test_a_late_reset_takes_more_than_an_early_one():
    current = torch.full((3, 1), 1.45)
    late, early = Leaky(3, beta=0.2)(current), Leaky(3, beta=0.2, reset_delay=False)(current)
    # late: 1.45, 0.29 + 0.45 = 0.74; early: 1.45, 0.09 + 1.45 = 1.54
    assert late.flatten().tolist()[:2] == [1, 0]
    assert early.flatten().tolist()[:2] == [1, 1]


@pytest.mark.parametrize("current", [0.12, 0.2, 0.35, 0.7])
def test_the_first_spike_comes_when_the_geometric_sum_passes_the_threshold(current):
    # h[n] = current (1 - beta^n) / (1 - beta) before a first spike (Eq. 8)
    beta, steps = 0.95, 20
    first = math.floor(math.log(1 - (1 - beta) / current, beta)) + 1
    spikes = Leaky(steps, beta=beta)(torch.tensor([[current]]), static=True).flatten()
    assert spikes.nonzero()[0].item() + 1 == first


@pytest.mark.parametrize(
    ("steps", "wanted", "least"), [(8, 7, 0.899), (4, 3, 0.755)], ids=["T8", "T4"]
)
def test_the_wanted_count_is_within_reach_of_a_cosine_only_above_a_beta(steps, wanted, least):
    best = {
        beta: Leaky(steps, beta=beta)(torch.ones(1, 1), static=True).sum().item()
        for beta in (least - 0.002, least + 0.002, 0.95)
    }
    assert list(best.values()) == [wanted - 1, wanted, wanted]


@pytest.mark.parametrize("reset", ["subtract", "zero"])
def test_a_static_current_equals_its_copies(reset):
    torch.manual_seed(0)
    x = 2 * torch.randn(3, 4, 5, 5)
    once, copies = x.clone().requires_grad_(), x.clone().requires_grad_()
    layer = Leaky(T, reset=reset, detach_reset=False)
    a, b = layer(once, static=True), layer(copies.repeat(T, 1, 1, 1))
    assert torch.equal(a, b)
    grad = torch.randn_like(a)
    a.backward(grad)
    b.backward(grad)
    torch.testing.assert_close(once.grad, copies.grad, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("reset", ["subtract", "zero"])
def test_bfloat16_currents_keep_a_float32_membrane(reset):
    torch.manual_seed(0)
    x = (2 * torch.randn(T * 40, 50)).bfloat16()
    low = x.clone().requires_grad_()
    spikes = Leaky(T, reset=reset)(low)
    assert spikes.dtype == torch.bfloat16
    assert torch.equal(spikes.float(), Leaky(T, reset=reset)(x.float()))
    spikes.sum().backward()
    assert low.grad.dtype == torch.bfloat16


@pytest.mark.parametrize("static", [False, True])
def test_memory_order_is_kept(static):
    torch.manual_seed(0)
    x = torch.randn(T * 2, 8, 5, 5)
    last = x.contiguous(memory_format=torch.channels_last).requires_grad_()
    spikes = Leaky(T)(last, static=static)
    assert spikes.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(spikes, Leaky(T)(x, static=static))
    spikes.sum().backward()
    assert last.grad.is_contiguous(memory_format=torch.channels_last)


def test_only_the_membrane_is_kept_for_the_backward_pass():
    x = torch.randn(T * 2, 100, requires_grad=True)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(
        lambda t: (kept.append(t.nbytes), t)[1], lambda t: t
    ):
        Leaky(T)(x)
    assert kept == [x.nbytes]
