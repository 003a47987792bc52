"""The leaky integrate-and-fire neuron over whole sequences, stateless.

Charge, fire and hard reset (S-CMRL Eqs 3-5, with the membrane starting at 0):

    h[t] = v[t-1] + (x[t] - v[t-1]) / tau
    s[t] = 1 where h[t] >= v_threshold, else 0
    v[t] = h[t] * (1 - s[t])

On a GPU this is spikingjelly's `functional.lif_multi_step`, one fused kernel each way. On the CPU
it is the same equations as an autograd function of our own (`pipelines.snn.lif_cpu`), which keeps
only h and works in cache-sized pieces. A test holds both against spikingjelly and closed forms.
"""

from typing import Literal

import torch
from spikingjelly.activation_based import functional, surrogate
from torch import Tensor, nn

from pipelines.ann.precision import wide_dtype
from pipelines.snn.lif_cpu import LIFConstants, LifSequence

Gradient = Literal["bptt", "cut"]


class LIF(nn.Module):
    """LIF neurons of one layer; a call runs all time steps from rest and keeps no state.

    time_steps: T. tau: membrane time constant, in steps. v_threshold: firing threshold.
    surrogate_alpha: slope of the sigmoid that stands in for the derivative of the step.
    gradient: "bptt" lets the gradient flow through the membrane across steps; "cut" does not, so
        that gx[t] = gs[t] * alpha * sigma * (1 - sigma) / tau (the S-CMRL authors' code).
    detach_reset: leave the reset out of the gradient (only with "bptt").
    """

    def __init__(
        self,
        time_steps: int,
        *,
        tau: float = 2.0,
        v_threshold: float = 1.0,
        surrogate_alpha: float = 4.0,
        gradient: Gradient = "bptt",
        detach_reset: bool = False,
    ) -> None:
        super().__init__()
        self.time_steps = time_steps
        self.tau = float(tau)
        self.v_threshold = float(v_threshold)
        self.gradient = gradient
        self.detach_reset = detach_reset
        self.surrogate = surrogate.Sigmoid(alpha=float(surrogate_alpha))

    def forward(self, x: Tensor, *, static: bool = False) -> Tensor:
        """Fire for T steps from rest.

        x: currents (T*B, ...) with time slowest; if static, (B, ...), the same at every step.
        Returns spikes (T*B, ...) of x's dtype and memory order.
        """
        # spikingjelly's fused kernels have no "cut"
        if x.is_cuda and self.gradient == "bptt":
            return self._run_fused(x, static=static)
        neuron = LIFConstants(
            self.tau,
            self.v_threshold,
            float(self.surrogate.alpha),
            self.gradient == "cut",
            self.detach_reset,
        )
        spikes: Tensor = LifSequence.apply(x, self.time_steps, static, neuron)  # type: ignore[no-untyped-call]
        return spikes

    def _run_fused(self, x: Tensor, *, static: bool) -> Tensor:
        steps = (
            # a view of T equal steps; its gradient is their sum
            x.unsqueeze(0).expand(self.time_steps, *x.shape)
            if static
            else torch.unflatten(x, 0, (self.time_steps, -1))
        )
        # a float32 membrane keeps spikingjelly on its fused kernel when x is bfloat16
        rest = torch.zeros(steps.shape[1:], dtype=wide_dtype(x.dtype), device=x.device)
        spikes: Tensor = functional.lif_multi_step(
            steps,
            rest,
            tau=self.tau,
            v_threshold=self.v_threshold,
            surrogate_function=self.surrogate,
            detach_reset=self.detach_reset,
        )[0]
        return spikes.flatten(0, 1)

    def extra_repr(self) -> str:
        """Show the settings when the network is printed."""
        return (
            f"T={self.time_steps}, tau={self.tau}, v_threshold={self.v_threshold}, "
            f"gradient={self.gradient}"
        )
