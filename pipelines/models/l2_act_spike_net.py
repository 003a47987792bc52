"""L2-ActSpikeNet: a spiking ResNet-18 whose classes are directions (Oikonomou et al., SMLP).

The time-averaged features and each class's weights are brought to length 1; their cosine is the
constant current of a class's neuron, and the neuron that fires most is the answer.

    model = Model(classes=10, visual_channels=3)
    out = model(visual)                                # visual (B, 3, 32, 32)
    loss = model.loss(out, Targets(labels))            # out.logits: spikes of each class, 0 to 7
"""

from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from pipelines.ann.output import Output, Targets
from pipelines.errors import UsageError
from pipelines.snn.count_loss import CountTarget, count_loss
from pipelines.snn.residual_block import Order, ResidualBlock, SpikingConv
from pipelines.snn.snntorch_leaky import Leaky, LeakyNeuron

PRESETS: dict[str, dict[str, Any]] = {"paper": {}}
ASSUMED = ("stem", "head_current", "logit_scale", "count_target", "neuron")

TimeSteps = Annotated[int, Field(ge=1, le=256, description="T, simulation steps")]
Width = Annotated[int, Field(ge=4, le=512, description="channels of the first stage; x8 at last")]
Stem = Annotated[
    Literal["3x3", "7x7"],
    Field(
        description="first convolution: 3x3 as for CIFAR, or 7x7 by 2 and a pool as for ImageNet"
    ),
]
LifOrder = Annotated[Order, Field(description="which follows a convolution first (Table III)")]
LifBeforeAdd = Annotated[bool, Field(description="fire also before the addition (Table III)")]
L2 = Annotated[bool, Field(description="L2 layer (Eqs 11-13); no: a linear layer with a bias")]
HeadCurrent = Annotated[
    Literal["averaged", "per-step"],
    Field(description="what the last neurons get: the averaged logit T times, or each step's own"),
]
LogitScale = Annotated[float, Field(gt=0, le=1000, description="times the cosine; 1 as Eq. 13")]
Rate = Annotated[float, Field(ge=0, le=1, description="firing rate wanted of a class's neuron")]
Counted = Annotated[
    CountTarget, Field(description="T times a rate: cut to whole spikes (snnTorch), or exact")
]


class VisualFeatures(nn.Module):
    """Spiking ResNet-18 up to its average pooling; `size` is 8 width, 512 as published."""

    def __init__(
        self,
        channels: int,
        *,
        time_steps: int = 8,
        width: int = 64,
        stem: Literal["3x3", "7x7"] = "3x3",
        order: Order = "lif-before-bn",
        lif_before_add: bool = False,
        neuron: LeakyNeuron = LeakyNeuron(),  # noqa: B008  (frozen)
    ) -> None:
        super().__init__()
        lif = neuron.factory(time_steps)
        self.time_steps, self.size = time_steps, 8 * width
        small = stem == "3x3"
        self.stem = SpikingConv(
            channels, width, lif(), order=order, kernel=3 if small else 7, stride=1 if small else 2
        )
        self.pool = nn.Identity() if small else nn.MaxPool2d(3, stride=2, padding=1)
        self.blocks = nn.Sequential()
        before = width
        for stage in range(4):
            for stride in (1 if stage == 0 else 2, 1):
                after = width << stage
                self.blocks.append(
                    ResidualBlock(
                        before, after, stride, lif, order=order, lif_before_add=lif_before_add
                    )
                )
                before = after

    def forward(self, visual: Tensor) -> Tensor:
        """visual: (B, C, H, W), static, or (T, B, C, H, W), to features z (T, B, size).

        Raises UsageError for another number of steps.
        """
        x = self.pool(encode(visual, self.stem))
        z: Tensor = self.blocks(x).mean((2, 3))
        return torch.unflatten(z, 0, (self.time_steps, -1))


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
                spikes = self.lif(self._logits(embedding), static=True)
            else:
                spikes = self.lif(self._logits(self._prepared(z)).flatten(0, 1))
        step_logits = torch.unflatten(spikes, 0, (self.lif.time_steps, -1))
        return Output(step_logits.sum(0), step_logits=step_logits, embedding=embedding)

    def _prepared(self, z: Tensor) -> Tensor:
        return unit(z) if self.l2 else z

    def _logits(self, z: Tensor) -> Tensor:
        weight = self.linear.weight.to(z.dtype)
        return self.scale * functional.linear(z, self._prepared(weight), self.linear.bias)


class Model(nn.Module):
    """L2-ActSpikeNet; see the module's docstring. Returns fresh results every call."""

    def __init__(
        self,
        *,
        classes: int,
        visual_channels: int,
        time_steps: TimeSteps = 8,
        width: Width = 64,
        stem: Stem = "3x3",
        order: LifOrder = "lif-before-bn",
        lif_before_add: LifBeforeAdd = False,
        l2: L2 = True,
        head_current: HeadCurrent = "averaged",
        logit_scale: LogitScale = 1.0,
        correct_rate: Rate = 0.90,
        incorrect_rate: Rate = 0.10,
        count_target: Counted = "truncated",
        neuron: LeakyNeuron = LeakyNeuron(),  # noqa: B008  (frozen)
    ) -> None:
        super().__init__()
        self.features = VisualFeatures(
            visual_channels, time_steps=time_steps, width=width, stem=stem, order=order,
            lif_before_add=lif_before_add, neuron=neuron,
        )  # fmt: skip
        self.head = SpikeCountHead(
            self.features.size, classes, neuron.factory(time_steps)(),
            l2=l2, current=head_current, scale=logit_scale,
        )  # fmt: skip
        self.rates, self.count_target = (correct_rate, incorrect_rate), count_target

    def forward(self, visual: Tensor) -> Output:
        """Classify (B, C, H, W), static, or (T, B, C, H, W); UsageError for another T."""
        out: Output = self.head(self.features(visual))
        return out

    def loss(self, output: Output, targets: Targets, label_smoothing: float = 0.0) -> Tensor:
        """Squared error of the spike counts, a scalar (Eqs 15-16)."""
        correct, incorrect = self.rates
        return count_loss(
            output.logits, targets.labels, time_steps=self.features.time_steps,
            correct_rate=correct, incorrect_rate=incorrect, target=self.count_target,
            label_smoothing=label_smoothing,
        )  # fmt: skip


def encode(x: Tensor, first: SpikingConv) -> Tensor:
    """Run a network's first layer on (B, C, H, W), or (T, B, C, H, W), to (T*B, ...).

    Raises UsageError where x has other steps than the network.
    """
    if x.dim() == 4:
        return first.forward_static(x)
    if len(x) != first.lif.time_steps:
        raise UsageError(
            f"the input has {len(x)} time steps, the network {first.lif.time_steps}",
            "set the model's time_steps, or the input's, to the other's",
        )
    out: Tensor = first(x.flatten(0, 1))
    return out


def unit(x: Tensor) -> Tensor:
    """x / ‖x‖ over the last axis (Eqs 11-12); zeros stay, and pass their gradient on as it is."""
    length = x.norm(dim=-1, keepdim=True)
    return x / torch.where(length > 0, length, 1)


build = Model
