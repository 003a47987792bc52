"""Features to spike counts: the last layer of SMLP's networks (Eqs 10-14), and its settings."""

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from pipelines.ann.output import Output
from pipelines.snn.count_loss import CountTarget
from pipelines.snn.snntorch_leaky import Leaky

TimeSteps = Annotated[int, Field(ge=1, le=256, description="Number of simulation time steps T.")]
L2 = Annotated[
    bool, Field(description="Use the L2 layer (Eqs 11-13); false is a linear layer with a bias.")
]
HeadCurrent = Annotated[
    Literal["averaged", "per-step"],
    Field(
        description="Input of the output neurons: averaged gives the mean logit at each "
        "of T steps, per-step each step's own."
    ),
]
LogitScale = Annotated[
    float, Field(gt=0, le=1000, description="Factor of the cosine; 1 is Eq. 13.")
]
Rate = Annotated[
    float,
    Field(
        ge=0,
        le=1,
        description="Target firing rate of output neurons: correct_rate is the labelled "
        "class's, incorrect_rate the others'.",
    ),
]
Counted = Annotated[
    CountTarget,
    Field(
        description="Target spike count, T times a rate: truncated to whole spikes as "
        "in snnTorch, or exact."
    ),
]


class SpikeCountHead(nn.Module):
    """Features to spike counts: the L2 layer, or a linear one, and the last neurons (Eqs 10-14)."""

    def __init__(
        self,
        size: int,
        classes: int,
        neuron: Leaky,
        *,
        l2: bool = True,
        current: Literal["averaged", "per-step"] = "averaged",
        scale: float = 1.0,
    ) -> None:
        super().__init__()
        self.linear = nn.Linear(size, classes, bias=not l2)
        self.lif = neuron
        self.l2, self.current, self.scale = l2, current, scale

    def forward(self, z: Tensor) -> Output:
        """z: (T, B, size). Logits are counts of T steps; the embedding is the averaged z, or ẑ."""
        # in bfloat16 a cosine near 1 has steps of 1/256
        with torch.autocast(z.device.type, enabled=False):
            z = z.to(torch.promote_types(z.dtype, torch.float32))
            embedding = self._prepared(z.mean(0))
            if self.current == "averaged":
                # a constant current: one product in place of T
                spikes = self.lif(self._logits(embedding), static=True)
            else:
                spikes = self.lif(self._logits(self._prepared(z)).flatten(0, 1))
        step_logits = torch.unflatten(spikes, 0, (self.lif.time_steps, -1))
        return Output(step_logits.sum(0), step_logits=step_logits, embedding=embedding)

    def _prepared(self, z: Tensor) -> Tensor:
        return unit(z) if self.l2 else z

    def _logits(self, z: Tensor) -> Tensor:
        weight = self.linear.weight.to(z.dtype)  # (classes, size), each row to length 1 (Eq. 12)
        return self.scale * functional.linear(z, self._prepared(weight), self.linear.bias)


def unit(x: Tensor) -> Tensor:
    """Return x / ‖x‖ over the last axis (Eqs 11-12); zeros stay, with their gradient unchanged."""
    length = x.norm(dim=-1, keepdim=True)
    return x / torch.where(length > 0, length, 1)
