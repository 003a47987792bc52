"""The LIF neuron with an arctan surrogate (SpikSLC-Net Eq. 23), and its settings."""

from functools import partial
from typing import Annotated

from pydantic import Field
from spikingjelly.activation_based import surrogate
from torch import Tensor

from pipelines.recipe.settings_from_signature import Section
from pipelines.snn.lif import LIF


class ArcTanLIF(LIF):
    """LIF whose step has the derivative of arctan(pi/2 alpha x) / pi + 1/2 (Eq. 23: alpha 2)."""

    def __init__(
        self, time_steps: int, *, surrogate_alpha: float = 2.0, **settings: float | bool
    ) -> None:
        super().__init__(time_steps, **settings)  # type: ignore[arg-type]
        self.surrogate = surrogate.ATan(alpha=float(surrogate_alpha))

    def forward(self, x: Tensor, *, static: bool = False) -> Tensor:
        """As LIF: currents (T*B, ...), or (B, ...) if static, to spikes (T*B, ...)."""
        # our own CPU pass has the sigmoid's derivative built in, so the CPU runs spikingjelly too
        return self._run_fused(x, static=static)


class ArcTanLIFSettings(Section):
    """The LIF neurons, the same in every layer."""

    tau: Annotated[
        float, Field(gt=1, le=1000, description="Membrane time constant tau in time steps.")
    ] = 2.0
    v_threshold: Annotated[
        float, Field(gt=0, le=100, description="Firing threshold of the membrane.")
    ] = 1.0
    surrogate_alpha: Annotated[
        float, Field(gt=0, le=100, description="Slope alpha of the arctan surrogate gradient.")
    ] = 2.0
    detach_reset: Annotated[bool, Field(description="Leave the reset out of the gradient.")] = False

    def factory(self, time_steps: int) -> "partial[ArcTanLIF]":
        """Return a function that makes the neurons of one layer."""
        return partial(ArcTanLIF, time_steps, **self.model_dump())
