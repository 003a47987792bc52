"""The settings of LIF neurons, as the recipes of Spikformer's family have them."""

from functools import partial
from typing import Annotated

from pydantic import Field

from pipelines.recipe.settings_from_signature import Section
from pipelines.snn.lif import LIF, Gradient


class LIFSettings(Section):
    """The LIF neurons, the same in every layer."""

    tau: Annotated[
        float, Field(gt=1, le=1000, description="Membrane time constant tau in time steps.")
    ] = 2.0
    v_threshold: Annotated[
        float, Field(gt=0, le=100, description="Firing threshold of the membrane.")
    ] = 1.0
    surrogate_alpha: Annotated[
        float, Field(gt=0, le=100, description="Slope alpha of the sigmoid surrogate gradient.")
    ] = 4.0
    gradient: Annotated[
        Gradient,
        Field(
            description="Path of the gradient: bptt goes back in time through the membrane, "
            "cut stays within a time step."
        ),
    ] = "bptt"
    detach_reset: Annotated[bool, Field(description="Leave the reset out of the gradient.")] = False

    def factory(self, time_steps: int) -> "partial[LIF]":
        """Return a function that makes the neurons of one layer."""
        return partial(LIF, time_steps, **self.model_dump())
