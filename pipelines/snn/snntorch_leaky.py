"""The leaky neuron in snnTorch's convention over whole sequences, stateless.

Charge and fire, with the membrane starting at 0 (SMLP Eqs 1-2; snnTorch's `Leaky`):

    h[t] = beta h[t-1] + x[t] - v_threshold s[t-1]
    s[t] = 1 where h[t] > v_threshold, else 0

The reset comes a step late and subtracts the threshold; a membrane at the threshold is silent; the
input is not scaled by 1 - beta; the reset has no share in the gradient. Each of these is a flag.
"""

import math
from functools import partial
from typing import Annotated, Any, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

from pipelines.recipe.settings_from_signature import Section

Surrogate = Literal["atan", "fast-sigmoid"]
Reset = Literal["subtract", "zero"]


class LeakyConstants(NamedTuple):
    """The settings of `Leaky`, for its autograd function."""

    beta: float
    v_threshold: float
    reset: Reset
    reset_delay: bool
    fires_at_threshold: bool
    detach_reset: bool
    surrogate: Surrogate
    slope: float


class Leaky(nn.Module):
    """Leaky neurons of one layer; a call runs all time steps from rest and keeps no state.

    time_steps: T. beta: what is left of the membrane a step later. v_threshold: firing threshold.
    reset: "subtract" takes the threshold away, "zero" all. reset_delay: subtract after the leak of
    the next step (snnTorch) and not before it (spikingjelly). fires_at_threshold: >= and not >.
    detach_reset: leave the reset out of the gradient. surrogate, slope: see `surrogate_derivative`.
    """

    def __init__(
        self,
        time_steps: int,
        *,
        beta: float = 0.95,
        v_threshold: float = 1.0,
        reset: Reset = "subtract",
        reset_delay: bool = True,
        fires_at_threshold: bool = False,
        detach_reset: bool = True,
        surrogate: Surrogate = "atan",
        slope: float = 2.0,
    ) -> None:
        super().__init__()
        self.time_steps = time_steps
        self.constants = LeakyConstants(
            float(beta),
            float(v_threshold),
            reset,
            reset_delay,
            fires_at_threshold,
            detach_reset,
            surrogate,
            float(slope),
        )

    def forward(self, x: Tensor, *, static: bool = False) -> Tensor:
        """Fire for T steps from rest.

        x: currents (T*B, ...) with time slowest; if static, (B, ...), the same at every step.
        Returns spikes (T*B, ...) of x's dtype and memory order.
        """
        spikes: Tensor = _LeakySequence.apply(x, self.time_steps, static, self.constants)  # type: ignore[no-untyped-call]
        return spikes

    def extra_repr(self) -> str:
        """Show the settings when the network is printed."""
        shown = ", ".join(f"{name}={value}" for name, value in self.constants._asdict().items())
        return f"T={self.time_steps}, {shown}"


class LeakySettings(Section):
    """The leaky neurons of a network, the same in every layer."""

    beta: Annotated[
        float,
        Field(ge=0, le=1, description="Share beta of the membrane that is left a time step later."),
    ] = 0.95
    v_threshold: Annotated[
        float, Field(gt=0, le=100, description="Firing threshold of the membrane.")
    ] = 1.0
    reset: Annotated[
        Reset,
        Field(description="What a spike does: subtract takes the threshold away, zero all."),
    ] = "subtract"
    reset_delay: Annotated[
        bool,
        Field(
            description="Reset after the leak of the next time step (snnTorch) and not before it."
        ),
    ] = True
    fires_at_threshold: Annotated[
        bool, Field(description="Fire at the threshold too (spikingjelly), not only above it.")
    ] = False
    detach_reset: Annotated[bool, Field(description="Leave the reset out of the gradient.")] = True
    surrogate: Annotated[
        Surrogate,
        Field(description="Surrogate gradient in place of the step function's derivative."),
    ] = "atan"
    slope: Annotated[
        float,
        Field(
            gt=0,
            le=100,
            description="Slope of the surrogate gradient: a of atan (Eq. 18), k of "
            "fast-sigmoid (Eq. 21).",
        ),
    ] = 2.0

    def factory(self, time_steps: int) -> "partial[Leaky]":
        """Return a function that makes the neurons of one layer."""
        return partial(Leaky, time_steps, **self.model_dump())


def surrogate_derivative(v: Tensor, surrogate: Surrogate, slope: float) -> Tensor:
    """Return the surrogate of the step's derivative at v, any shape: membrane less threshold.

    atan: (a/2) / (1 + (pi a v / 2)^2), of Eq. 18 (Eq. 19 as printed lacks a factor pi a / 2).
    fast-sigmoid: 1 / (1 + k |v|)^2, of Eq. 21 (Eq. 22 as printed has v above: 0 at the threshold).
    """
    if surrogate == "atan":
        return (slope / 2) / (1 + (math.pi / 2 * slope * v).square())
    return (1 + slope * v.abs()).square().reciprocal()


def _in_order_of(x: Tensor, copies: int, dtype: torch.dtype) -> Tensor:
    """Return an empty (copies * N, ...) in the memory order of x (N, ...)."""
    last = x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last)
    order = torch.channels_last if last else torch.contiguous_format
    shape = (copies * x.shape[0], *x.shape[1:])
    return torch.empty(shape, dtype=dtype, device=x.device, memory_format=order)


class _LeakySequence(torch.autograd.Function):
    """Keeps only the membrane h for the backward pass, in float32 or better."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, time_steps: int, static: bool, neuron: LeakyConstants
    ) -> Tensor:
        copies = time_steps if static else 1
        # the membrane in float32: bfloat16 would round charges near the threshold to a spike
        charged = _in_order_of(x, copies, torch.promote_types(x.dtype, torch.float32))
        spikes = _in_order_of(x, copies, x.dtype)
        currents = torch.unflatten(x, 0, (1 if static else time_steps, -1))
        # views (T, B, ...), which the loop fills in place: nothing is stacked at the end
        h, s = (torch.unflatten(x, 0, (time_steps, -1)) for x in (charged, spikes))
        fire = torch.ge if neuron.fires_at_threshold else torch.gt
        for t in range(time_steps):
            current = currents[0 if static else t]
            if t == 0:
                h[0] = current
            elif neuron.reset == "zero":
                # h[t] = beta h[t-1] (1 - s[t-1]) + x[t]
                torch.addcmul(current, h[t - 1], 1 - s[t - 1], value=neuron.beta, out=h[t])
            else:
                # h[t] = beta h[t-1] + x[t] - drop s[t-1] (Eq. 1)
                torch.add(current, h[t - 1], alpha=neuron.beta, out=h[t])
                h[t].sub_(s[t - 1], alpha=_drop(neuron))
            fire(h[t], neuron.v_threshold, out=s[t])
        ctx.save_for_backward(charged)
        ctx.settings = (time_steps, static, neuron)
        return spikes

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """g_h[t] = g_s[t] d[t] + g_h[t+1] dh[t+1]/dh[t]; x[t] has h[t]'s gradient."""
        time_steps, static, neuron = ctx.settings
        (h,) = ctx.saved_tensors
        d = surrogate_derivative(h - neuron.v_threshold, neuron.surrogate, neuron.slope)
        grad = grads[0] * d
        carry = _carry(h, d, neuron)  # dh[t+1]/dh[t], all steps at once
        # a view: the loop turns g_s d, step by step from the end, into g_h
        steps = torch.unflatten(grad, 0, (time_steps, -1))
        for t in range(time_steps - 2, -1, -1):
            if isinstance(carry, float):
                steps[t].add_(steps[t + 1], alpha=carry)
            else:
                steps[t].addcmul_(steps[t + 1], torch.unflatten(carry, 0, (time_steps, -1))[t])
        return (steps.sum(0) if static else grad).to(grads[0].dtype), None, None, None


def _drop(neuron: LeakyConstants) -> float:
    """Return what a spike subtracts from the next step's membrane."""
    # without the delay the threshold is subtracted before the leak, so beta of it is left
    return neuron.v_threshold * (1.0 if neuron.reset_delay else neuron.beta)


def _carry(h: Tensor, d: Tensor, neuron: LeakyConstants) -> Tensor | float:
    """Return the derivative of the next step's h by this one's; d: the surrogate's derivative."""
    if neuron.reset == "zero":
        fired = h >= neuron.v_threshold if neuron.fires_at_threshold else h > neuron.v_threshold
        kept = 1 - fired.to(h.dtype)
        return neuron.beta * (kept if neuron.detach_reset else kept - h * d)
    # a number where it is the same everywhere: no tensor as large as h
    return neuron.beta if neuron.detach_reset else neuron.beta - _drop(neuron) * d
