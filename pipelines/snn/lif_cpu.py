"""LIF over a sequence as one autograd function that keeps only h and works in pieces.

Autograd over the plain equations keeps four tensors a step and streams each through memory. Here
every piece of the layer runs all its T steps, forward or backward, while it is in the cache.

The functions hold the *negative* membrane, -h, because then `threshold`, one fused operator, is
the reset and its gradient. The surrogate's derivative uses
sigma(z) (1 - sigma(z)) = (1 - tanh(z/2)^2) / 4, because tanh is faster than sigmoid.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from pipelines.ann.precision import wide_dtype

# values (T times columns) worked on at a time; measured: smaller pieces stay in the cache but pay
# more for starting each operator than they save, larger ones stream everything through memory
PIECE = 1 << 19


class LIFConstants(NamedTuple):
    """The constants of `pipelines.snn.lif.LIF`; cut and detach_reset shape the gradient."""

    tau: float
    v_threshold: float
    alpha: float
    cut: bool
    detach_reset: bool


def _memory_order(x: Tensor) -> tuple[Tensor, bool]:
    """View x as contiguous; for channels_last (N, C, H, W) that is the (N, H, W, C) view."""
    if x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last):
        # a view: neurons do not depend on each other, so any order of them will do
        return x.permute(0, 2, 3, 1), True
    return x.contiguous(), False


def _fire(currents: Tensor, spikes: Tensor, h: Tensor, v: Tensor, neuron: LIFConstants) -> None:
    """Run one piece forward: currents (T or 1, n) to spikes (T, n); h (T, n) receives -h.

    v: (2, n) scratch.
    """
    v, step = v
    for t in range(len(h)):
        current = currents[t if len(currents) > 1 else 0]
        if current.dtype != h.dtype:
            current = step.copy_(current)
        if t == 0:
            torch.mul(current, -1.0 / neuron.tau, out=h[0])  # v[-1] = 0, so h[0] = x[0] / tau
            continue
        # v = -h where -h > -v_threshold, which is silence, else 0: the hard reset (Eq. 5)
        torch.ops.aten.threshold.out(h[t - 1], -neuron.v_threshold, 0.0, out=v)
        torch.add(current, v, out=step)  # x - v, for v holds -v
        torch.add(v, step, alpha=-1.0 / neuron.tau, out=h[t])  # Eq. 3
    torch.le(h, -neuron.v_threshold, out=spikes)  # Eq. 4, all steps at once


def _gradient(
    grad_spikes: Tensor, grad_x: Tensor, h: Tensor, scratch: Tensor, neuron: LIFConstants
) -> None:
    """Run one piece backward, all (T, n); h holds -h, scratch is (2, T, n).

    g_x[t] = g_s[t] d[t] / tau + g_x[t+1] (1 - 1/tau) ((1 - s[t]) - h[t] d[t])
    with d = alpha sigma'; the second term is 0 if the gradient is cut, and its h d, which is the
    reset's share, if detach_reset.
    """
    d, carry = scratch
    zero, one = h.new_zeros(()), h.new_ones(())
    offset = h.new_full((), neuron.alpha / 2 * neuron.v_threshold)
    # -z / 2 with z = alpha (h - v_threshold); the square below drops the sign
    torch.add(offset, h, alpha=neuron.alpha / 2, out=d)
    d.tanh_()
    torch.addcmul(one, d, d, value=-1.0, out=d)  # 4 sigma (1 - sigma)
    torch.addcmul(zero, grad_spikes, d, value=neuron.alpha / 4 / neuron.tau, out=grad_x)
    if neuron.cut or len(h) == 1:
        return
    torch.gt(h, -neuron.v_threshold, out=carry)  # 1 - s
    if not neuron.detach_reset:
        carry.addcmul_(h, d, value=neuron.alpha / 4)
    # from the end: g_x[t] needs g_x[t+1], which then is complete
    for t in range(len(h) - 2, -1, -1):
        grad_x[t].addcmul_(grad_x[t + 1], carry[t], value=1.0 - 1.0 / neuron.tau)


class LifSequence(torch.autograd.Function):
    """See `pipelines.snn.lif.LIF` for the equations and the arguments.

    The membrane is kept in float32, or in float64 if x is float64.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, time_steps: int, static: bool, neuron: LIFConstants) -> Tensor:
        """x: (T*B, ...), or (B, ...) if static. Returns spikes (T*B, ...) of x's dtype."""
        ordered, channels_last = _memory_order(x)
        currents = ordered.reshape(1 if static else time_steps, -1)
        n = currents.shape[1]
        spikes = currents.new_empty((time_steps, n))
        keep = ctx.needs_input_grad[0]
        width = min(max(1, PIECE // time_steps), n)
        # bfloat16 has 8 bits: in it a membrane could not move by less than 1/256 of itself, and
        # charges near the threshold would round to a spike
        precision = wide_dtype(currents.dtype)
        # without a gradient one piece's membrane is enough, and each piece writes over the last
        h = currents.new_empty((time_steps, n if keep else width), dtype=precision)
        v = currents.new_empty((2, width), dtype=precision)
        for start in range(0, n, width):
            piece = slice(start, min(start + width, n))
            size = piece.stop - start
            charged = h[:, piece] if keep else h[:, :size]
            _fire(currents[:, piece], spikes[:, piece], charged, v[:, :size], neuron)
        if keep:
            ctx.save_for_backward(h)
            ctx.settings = (static, neuron, channels_last)
        # back to x's shape, and to its channels_last order
        out = spikes.view((time_steps * x.shape[0] if static else x.shape[0], *ordered.shape[1:]))
        return out.permute(0, 3, 1, 2) if channels_last else out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradient of x from that of the spikes, (T*B, ...)."""
        static, neuron, channels_last = ctx.settings
        (h,) = ctx.saved_tensors
        time_steps, n = h.shape
        grad = (grads[0].permute(0, 2, 3, 1) if channels_last else grads[0]).contiguous()
        grad_spikes = grad.view(time_steps, n)
        grad_x = grad.new_empty((1 if static else time_steps, n), dtype=h.dtype)
        width = min(max(1, PIECE // time_steps), n)
        # two for `_gradient`; the third is for static currents, whose gradient is the sum over T
        scratch = h.new_empty((3, time_steps, width))
        for start in range(0, n, width):
            piece = slice(start, min(start + width, n))
            size = piece.stop - start
            buffers = scratch[:, :, :size]
            target = buffers[2] if static else grad_x[:, piece]
            _gradient(grad_spikes[:, piece], target, h[:, piece], buffers[:2], neuron)
            if static:
                torch.sum(target, 0, keepdim=True, out=grad_x[:, piece])
        batch = grad.shape[0] // time_steps if static else grad.shape[0]
        result = grad_x.view((batch, *grad.shape[1:])).to(grad.dtype)
        return (result.permute(0, 3, 1, 2) if channels_last else result, None, None, None)
