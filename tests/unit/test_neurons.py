"""Our LIF against the closed equations, against spikingjelly, and by its gradient."""

import pytest
import torch
from spikingjelly.activation_based import functional, neuron, surrogate

from pipelines.snn import lif_cpu
from pipelines.snn.lif import LIF

T = 5


def by_hand(x, tau, threshold):
    """The paper's Eqs 3-5, one scalar at a time."""
    v, spikes = 0.0, []
    for current in x:
        h = v + (current - v) / tau
        spikes.append(1.0 if h >= threshold else 0.0)
        v = h * (1 - spikes[-1])
    return spikes


def test_a_hand_computed_train_of_spikes():
    # tau 2, threshold 1, constant input 1.5: h = 0.75, 1.125 -> spike and reset, 0.75, 1.125, 0.75
    spikes = LIF(5)(torch.full((5, 1), 1.5))
    assert spikes.flatten().tolist() == [0, 1, 0, 1, 0]


def test_the_threshold_itself_fires():
    assert LIF(1)(torch.tensor([[2.0]])).item() == 1


@pytest.mark.parametrize(("tau", "threshold"), [(2.0, 1.0), (1.5, 0.5), (10.0, 0.3)])
def test_forward_is_the_papers_equations(tau, threshold):
    torch.manual_seed(0)
    x = (2 * torch.randn(T, 200)).double()
    spikes = LIF(T, tau=tau, v_threshold=threshold)(x.float())
    for i in range(x.shape[1]):
        assert spikes[:, i].tolist() == by_hand(x[:, i].tolist(), tau, threshold)


@pytest.mark.parametrize("detach_reset", [False, True])
@pytest.mark.parametrize(("tau", "alpha"), [(2.0, 4.0), (1.7, 2.5)])
@pytest.mark.parametrize("shape", [(3, 7), (3, 4, 6, 6)])
def test_forward_and_gradient_are_spikingjellys(detach_reset, tau, alpha, shape, monkeypatch):
    monkeypatch.setattr(lif_cpu, "PIECE", 32)  # several pieces and a ragged last one
    torch.manual_seed(0)
    x = 2 * torch.randn(T * shape[0], *shape[1:])
    if x.dim() == 4:
        x = x.contiguous(memory_format=torch.channels_last)
    grad = torch.randn_like(x)
    ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    layer = LIF(T, tau=tau, surrogate_alpha=alpha, detach_reset=detach_reset)
    reference = neuron.LIFNode(
        tau=tau,
        surrogate_function=surrogate.Sigmoid(alpha=alpha),
        detach_reset=detach_reset,
        step_mode="m",
    )
    a, b = layer(ours), reference(theirs.unflatten(0, (T, -1))).flatten(0, 1)
    assert torch.equal(a, b)
    a.backward(grad)
    b.backward(grad)
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-5, atol=2e-6)


def test_cut_gradient_is_the_stated_one():
    torch.manual_seed(0)
    tau, alpha = 2.0, 4.0
    x = (2 * torch.randn(T, 50)).requires_grad_()
    grad = torch.randn(T, 50)
    LIF(T, gradient="cut")(x).backward(grad)
    v = torch.zeros(50)
    for t in range(T):
        h = v + (x[t].detach() - v) / tau
        s = torch.sigmoid(alpha * (h - 1.0))
        expected = grad[t] * alpha * s * (1 - s) / tau
        torch.testing.assert_close(x.grad[t], expected, rtol=1e-5, atol=1e-7)
        v = h * (h < 1)


def test_cut_gradient_is_spikingjellys_online_lif():
    torch.manual_seed(0)
    x = 2 * torch.randn(T, 50)
    grad = torch.randn(T, 50)
    ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    a = LIF(T, gradient="cut")(ours)
    node = neuron.SLTTLIFNode(tau=2.0, surrogate_function=surrogate.Sigmoid(alpha=4.0))
    b = torch.stack([node(theirs[t]) for t in range(T)])
    assert torch.equal(a, b)
    a.backward(grad)
    b.backward(grad)
    functional.reset_net(node)
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("gradient", ["bptt", "cut"])
def test_a_static_current_equals_its_copies(gradient):
    torch.manual_seed(0)
    x = 2 * torch.randn(3, 4, 6, 6)
    once, copies = x.clone().requires_grad_(), x.clone().requires_grad_()
    layer = LIF(T, gradient=gradient)
    a, b = layer(once, static=True), layer(copies.repeat(T, 1, 1, 1))
    assert torch.equal(a, b)
    grad = torch.randn_like(a)
    a.backward(grad)
    b.backward(grad)
    torch.testing.assert_close(once.grad, copies.grad, rtol=1e-5, atol=1e-5)


def test_bfloat16_currents_keep_a_float32_membrane():
    torch.manual_seed(0)
    x = (2 * torch.randn(T * 40, 50)).bfloat16()
    low = x.clone().requires_grad_()
    spikes = LIF(T)(low)
    assert spikes.dtype == torch.bfloat16
    assert torch.equal(spikes.float(), LIF(T)(x.float()))
    spikes.sum().backward()
    assert low.grad.dtype == torch.bfloat16


def test_memory_order_is_kept():
    x = torch.randn(T * 2, 8, 5, 5).contiguous(memory_format=torch.channels_last)
    assert LIF(T)(x).is_contiguous(memory_format=torch.channels_last)


def test_only_the_membrane_is_kept_for_the_backward_pass():
    x = torch.randn(T * 2, 100, requires_grad=True)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(
        lambda t: (kept.append(t.nbytes), t)[1], lambda t: t
    ):
        LIF(T)(x)
    assert kept == [x.nbytes]
