"""SCA: spiking cross-attention replaces the features (SMMT, a rival in S-CMRL).

Guo et al., "Transformer-based spiking neural networks for multimodal audiovisual classification",
IEEE TCDS 16(3), 2024, in the form of S-CMRL's authors, on the same spiking transformer.
"""

from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from pipelines.ann.output import Output, Targets, cross_entropy
from pipelines.errors import UsageError
from pipelines.snn import tokens
from pipelines.snn.attention import SpikingAttention
from pipelines.snn.feed_forward import FeedForward
from pipelines.snn.lif_settings import LIFSettings
from pipelines.snn.patch_splitting import PatchSplitting
from pipelines.snn.spikformer_settings import AttentionScale, Heads, Stages, TimeSteps, TokenWidth
from pipelines.snn.tokens import Size

PRESETS: dict[str, dict[str, Any]] = {
    "paper": {},
    "authors": {"positions": "random", "neuron": {"gradient": "cut"}},
}
ASSUMED = ("heads", "scale", "width", "positions")


def misfit(settings: Any, audio: Size | None, visual: Size | None) -> str:
    """Return why inputs of these sizes do not fit each other or the table, "" if they do.

    settings: the recipe's. Without positions any number of tokens attends to any other.
    """
    if settings.positions == "none":
        return ""
    side = max(tokens.grid(visual, settings.stages)) if visual is not None else 0
    if side > settings.side:
        return f"visual.size makes {side} rows or columns of tokens, model.side is {settings.side}"
    return tokens.misfit(audio, visual, settings.stages)


class Model(nn.Module):
    """SPS; x_a = A(x_a, x_v), x_v = A(x_v, x_a), no residual; MLP; add; linear head.

    Where the query is visual, the attention is LIF(Q K^T + b) V: b[i, j] is looked up in a table by
    the offset of the two positions, row_i - row_j and column_i - column_j. A "learned" table is
    ours; "random" is the authors', drawn anew at every call, in evaluation too: such a network
    returns two outputs for one input.
    """

    def __init__(
        self,
        *,
        classes: int,
        audio_channels: int,
        visual_channels: int,
        time_steps: TimeSteps = 4,
        width: TokenWidth = 256,
        stages: Stages = 4,
        heads: Heads = 16,
        scale: AttentionScale = 0.25,
        positions: Annotated[
            Literal["learned", "random", "none"],
            Field(
                description="Table of relative positions that is added to Q K^T: learned, "
                "random (drawn anew at every call) or none."
            ),
        ] = "learned",
        side: Annotated[
            int,
            Field(
                ge=1,
                le=256,
                description="Largest number of rows and columns of tokens, H / 2^stages.",
            ),
        ] = 8,
        neuron: LIFSettings = LIFSettings(),
    ) -> None:
        super().__init__()
        lif = neuron.factory(time_steps)
        self.audio_patches = PatchSplitting(audio_channels, width, stages, lif)
        self.visual_patches = PatchSplitting(visual_channels, width, stages, lif)
        self.audio_attention, self.visual_attention = (
            SpikingAttention(
                width, heads=heads, scale=scale, axis="space", neuron=lif, spiking_scores=spiking
            )
            for spiking in (False, True)
        )
        self.positions, self.side, self.stages = positions, side, stages
        # zeros, so that training begins with attention without positions;
        # of (2 M - 1)^2 entries, M = side + 1: as large as the authors'
        learned = torch.zeros(2 * side + 1, 2 * side + 1) if positions == "learned" else None
        self.position_table = None if learned is None else nn.Parameter(learned)
        self.audio_mlp, self.visual_mlp = FeedForward(width, lif), FeedForward(width, lif)
        self.head = nn.Linear(width, classes)

    def forward(self, audio: Tensor, visual: Tensor) -> Output:
        """Classify pairs; inputs (B, C, H, W), or (T, B, C, H, W) if they change over time.

        Raises UsageError where the table of positions is too small for the tokens.
        """
        x_a, x_v = self.audio_patches(audio), self.visual_patches(visual)
        height, width = tokens.grid((visual.shape[-2], visual.shape[-1]), self.stages)
        # both from the features as they were; replaced, not added to: SCA has no residual
        new_a = self.audio_attention(x_a, x_v)
        new_v = self.visual_attention(x_v, x_a, self._offset(height, width, x_v))
        z = self.audio_mlp(new_a).mean(2) + self.visual_mlp(new_v).mean(2)
        embedding = z.mean(0)
        return Output(self.head(embedding), embedding=embedding)

    def _offset(self, rows: int, columns: int, x: Tensor) -> Tensor | None:
        """Return b (N, N) for a grid of tokens, in the dtype and on the device of x."""
        if self.positions == "none":
            return None
        if max(rows, columns) > self.side:
            raise UsageError(
                f"the inputs have {rows} x {columns} tokens, the model's table is for "
                f"{self.side} x {self.side}",
                f"set model.side={max(rows, columns)}",
            )
        extent = 2 * self.side + 1
        table = (
            torch.randn(extent, extent, device=x.device, dtype=x.dtype)
            if self.position_table is None
            else self.position_table
        )
        # tokens come row by row
        row = torch.arange(rows, device=x.device).repeat_interleave(columns)
        column = torch.arange(columns, device=x.device).repeat(rows)
        # shifted by side: offsets -side..side become indices 0..2 side
        return table[
            row[:, None] - row[None, :] + self.side, column[:, None] - column[None, :] + self.side
        ]

    def loss(self, output: Output, targets: Targets, label_smoothing: float = 0.0) -> Tensor:
        """Return the cross-entropy, a scalar."""
        return cross_entropy(output, targets, label_smoothing)


build = Model
