"""The settings of LIF neurons, as the recipes of Spikformer's family have them."""

from functools import partial
from typing import Annotated

from pydantic import Field

from pipelines.recipe.settings_from_signature import Section
from pipelines.snn.lif import LIF, Gradient


class LIFSettings(Section):
    """The LIF neurons, the same in every layer."""

    tau: Annotated[float, Field(gt=1, le=1000, description="membrane time constant, steps")] = 2.0
    v_threshold: Annotated[float, Field(gt=0, le=100, description="firing threshold")] = 1.0
    surrogate_alpha: Annotated[
        float, Field(gt=0, le=100, description="slope of the sigmoid surrogate")
    ] = 4.0
    gradient: Annotated[
        Gradient, Field(description="bptt: through the membrane; cut: within a step only")
    ] = "bptt"
    detach_reset: Annotated[bool, Field(description="leave the reset out of the gradient")] = False

    def factory(self, time_steps: int) -> "partial[LIF]":
        """Return what makes the neurons of one layer."""
        return partial(LIF, time_steps, **self.model_dump())
