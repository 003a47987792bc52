"""L2-ActSpikeNet: a spiking ResNet-18 whose classes are directions (Oikonomou et al., SMLP).

The time-averaged features and each class's weights are brought to length 1; their cosine is the
constant current of a class's neuron, and the neuron that fires most is the prediction.

    model = Model(classes=10, visual_channels=3)
    out = model(visual)                                # visual (B, 3, 32, 32)
    loss = model.loss(out, Targets(labels))            # out.logits: spikes of each class, 0 to 7
"""

from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from pipelines.ann.output import Output, Targets
from pipelines.snn.count_loss import count_loss
from pipelines.snn.residual_block import Order, ResidualBlock, SpikingConv, encode
from pipelines.snn.snntorch_leaky import LeakySettings
from pipelines.snn.spike_count_head import (
    L2,
    Counted,
    HeadCurrent,
    LogitScale,
    Rate,
    SpikeCountHead,
    TimeSteps,
)

PRESETS: dict[str, dict[str, Any]] = {"paper": {}}
ASSUMED = ("stem", "head_current", "logit_scale", "count_target", "neuron")

Width = Annotated[
    int,
    Field(
        ge=4,
        le=512,
        description="Number of channels of the first stage; the last has 8 times as many.",
    ),
]
Stem = Annotated[
    Literal["3x3", "7x7"],
    Field(
        description="First convolution: 3x3 as for CIFAR, or 7x7 of stride 2 and a "
        "pooling layer as for ImageNet."
    ),
]
LifOrder = Annotated[
    Order,
    Field(
        description="Which layer follows a convolution first, the LIF or the batch norm "
        "(Table III)."
    ),
]
LifBeforeAdd = Annotated[
    bool, Field(description="Put LIF neurons before the residual addition too (Table III).")
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
        neuron: LeakySettings = LeakySettings(),
    ) -> None:
        super().__init__()
        lif = neuron.factory(time_steps)
        self.time_steps, self.size = time_steps, 8 * width
        small = stem == "3x3"  # images of 32 x 32, as ResNets for CIFAR begin
        self.stem = SpikingConv(
            channels, width, lif(), order=order, kernel=3 if small else 7, stride=1 if small else 2
        )
        self.pool = nn.Identity() if small else nn.MaxPool2d(3, stride=2, padding=1)
        self.blocks = nn.Sequential()
        # four stages of two blocks; each but the first halves H and W and doubles the channels
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
        z: Tensor = self.blocks(x).mean((2, 3))  # (T B, size): rates, not spikes
        return torch.unflatten(z, 0, (self.time_steps, -1))


class Model(nn.Module):
    """L2-ActSpikeNet; see the module's docstring. Keeps no state from call to call."""

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
        neuron: LeakySettings = LeakySettings(),
    ) -> None:
        super().__init__()
        self.features = VisualFeatures(
            visual_channels,
            time_steps=time_steps,
            width=width,
            stem=stem,
            order=order,
            lif_before_add=lif_before_add,
            neuron=neuron,
        )
        self.head = SpikeCountHead(
            self.features.size,
            classes,
            neuron.factory(time_steps)(),
            l2=l2,
            current=head_current,
            scale=logit_scale,
        )
        self.rates, self.count_target = (correct_rate, incorrect_rate), count_target

    def forward(self, visual: Tensor) -> Output:
        """Classify (B, C, H, W), static, or (T, B, C, H, W); UsageError for another T."""
        out: Output = self.head(self.features(visual))
        return out

    def loss(self, output: Output, targets: Targets, label_smoothing: float = 0.0) -> Tensor:
        """Return the squared error of the spike counts, a scalar (Eqs 15-16)."""
        correct, incorrect = self.rates
        return count_loss(
            output.logits,
            targets.labels,
            time_steps=self.features.time_steps,
            correct_rate=correct,
            incorrect_rate=incorrect,
            target=self.count_target,
            label_smoothing=label_smoothing,
        )


build = Model
