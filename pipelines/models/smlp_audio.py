"""SMLP's audio network: three spiking convolutions on a log-mel spectrogram, and the L2 layer.

model = Model(classes=10, audio_channels=1)        # 5 s at 44.1 kHz: n_fft 2048, hop 512
out = model(audio)                                 # audio (B, 1, 64, 431)
out.embedding                                      # (B, 27136)
"""

from itertools import pairwise
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from pipelines.ann.output import Output, Targets
from pipelines.errors import UsageError
from pipelines.snn.count_loss import count_loss
from pipelines.snn.residual_block import SpikingConv, encode
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
ASSUMED = ("width", "frames", "dropout", "head_current", "logit_scale", "count_target", "neuron")

NEURON = LeakySettings(surrogate="fast-sigmoid", slope=5.0)

Width = Annotated[
    int,
    Field(
        ge=1,
        le=1024,
        description="Number of channels of the first block; each further one has twice as many.",
    ),
]
Blocks = Annotated[
    int, Field(ge=1, le=6, description="Number of Conv-BN-LIF-Pool blocks (Table III has 2 too).")
]
Pooling = Annotated[bool, Field(description="Put a 2x2 max-pooling after each block (Table III).")]
Bands = Annotated[int, Field(ge=1, le=4096, description="Number of mel bands, the input's height.")]
Frames = Annotated[
    int, Field(ge=1, le=65536, description="Number of spectrogram frames, the input's width.")
]


class AudioFeatures(nn.Module):
    """Conv - BN - LIF - Pool blocks; `size` is the number of their outputs, 27,136 for 5 s."""

    def __init__(
        self,
        channels: int,
        *,
        time_steps: int = 4,
        width: int = 16,
        blocks: int = 3,
        pooling: bool = True,
        bands: int = 64,
        frames: int = 431,
        neuron: LeakySettings = NEURON,
    ) -> None:
        super().__init__()
        halvings = blocks if pooling else 0
        # pooling of 2 x 2 rounds down, as >> does
        rows, columns = bands >> halvings, frames >> halvings
        if rows == 0 or columns == 0:
            raise ValueError(f"{blocks} poolings leave nothing of {bands} bands x {frames} frames")
        self.time_steps, self.bands, self.frames = time_steps, bands, frames
        self.size = (width << (blocks - 1)) * rows * columns
        lif = neuron.factory(time_steps)
        widths = [channels, *(width << i for i in range(blocks))]
        self.blocks = nn.ModuleList(
            SpikingConv(before, after, lif(), order="lif-after-bn")
            for before, after in pairwise(widths)
        )
        self.pool = nn.MaxPool2d(2) if pooling else nn.Identity()

    def forward(self, audio: Tensor) -> Tensor:
        """audio: (B, C, bands, frames), static, or (T, B, ...), to spikes z (T, B, size).

        Raises UsageError for another number of bands, frames or steps.
        """
        bands, frames = audio.shape[-2:]
        # the head's size depends on them: without this its product would fail on a shape
        if (bands, frames) != (self.bands, self.frames):
            raise UsageError(
                f"the audio has {bands} bands x {frames} frames, "
                f"the network {self.bands} x {self.frames}",
                f"set the model's bands to {bands} and its frames to {frames}",
            )
        first, *rest = self.blocks
        assert isinstance(first, SpikingConv)
        x = self.pool(encode(audio, first))
        for block in rest:
            x = self.pool(block(x))
        z: Tensor = x.flatten(1)  # (T B, size)
        return torch.unflatten(z, 0, (self.time_steps, -1))


class Model(nn.Module):
    """SMLP's audio network; see the module's docstring. Keeps no state from call to call."""

    def __init__(
        self,
        *,
        classes: int,
        audio_channels: int,
        time_steps: TimeSteps = 4,
        width: Width = 16,
        blocks: Blocks = 3,
        pooling: Pooling = True,
        bands: Bands = 64,
        frames: Frames = 431,
        dropout: Annotated[
            float,
            Field(
                ge=0,
                lt=1,
                description="Dropout probability before the L2 layer (Table III has 0 too).",
            ),
        ] = 0.5,
        l2: L2 = True,
        head_current: HeadCurrent = "averaged",
        logit_scale: LogitScale = 1.0,
        correct_rate: Rate = 0.85,
        incorrect_rate: Rate = 0.15,
        count_target: Counted = "truncated",
        neuron: LeakySettings = NEURON,
    ) -> None:
        super().__init__()
        self.features = AudioFeatures(
            audio_channels,
            time_steps=time_steps,
            width=width,
            blocks=blocks,
            pooling=pooling,
            bands=bands,
            frames=frames,
            neuron=neuron,
        )
        self.dropout = nn.Dropout(dropout)
        self.head = SpikeCountHead(
            self.features.size,
            classes,
            neuron.factory(time_steps)(),
            l2=l2,
            current=head_current,
            scale=logit_scale,
        )
        self.rates, self.count_target = (correct_rate, incorrect_rate), count_target

    def forward(self, audio: Tensor) -> Output:
        """Classify (B, C, bands, frames), or (T, B, ...); UsageError for another size."""
        out: Output = self.head(self.dropout(self.features(audio)))
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
