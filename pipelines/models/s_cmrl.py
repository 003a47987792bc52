"""S-CMRL: cross-modal residual learning with spiking attention (He et al., arXiv 2502.12488).

`paper` follows the text, `authors` the public code; where they differ there is one named switch
for each difference, so that each can be measured. With ccssa "none" this is naive fusion.

    model = Model(classes=10, audio_channels=1, visual_channels=3)
    out = model(audio, visual)              # audio (B, 1, 128, 128), visual (B, 3, 128, 128)
    loss = model.loss(out, Targets(labels))
"""

from functools import partial
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from pipelines.ann.output import Output, Targets, TetShare, class_loss
from pipelines.snn import tokens
from pipelines.snn.alignment import instance_alignment, supervised_alignment
from pipelines.snn.attention import CrossModalResidual, HeadLayout, SpikingAttention, Which
from pipelines.snn.feed_forward import FeedForward
from pipelines.snn.lif import LIF
from pipelines.snn.lif_settings import LIFSettings
from pipelines.snn.patch_splitting import PatchSplitting
from pipelines.snn.spikformer_settings import AttentionScale, Heads, Stages, TimeSteps, TokenWidth
from pipelines.snn.tokens import Size

PRESETS: dict[str, dict[str, Any]] = {
    "paper": {},
    "authors": {
        "self_attention": "never",
        "sao": "supervised",
        "sao_head": True,
        "tcsa_layout": "scrambled",
        "reduce_single": False,
        "neuron": {"gradient": "cut"},
    },
}

# values that the paper does not state; `avsnn show` marks them
ASSUMED = ("heads", "scale", "sao_temperature", "width")


def misfit(settings: Any, audio: Size | None, visual: Size | None) -> str:
    """Return why inputs of these sizes do not fit each other, "" if they do; settings: all."""
    return tokens.misfit(audio, visual, settings.stages)


class Branch(nn.Module):
    """The layers of one modality: SPS, attention, SAO head, MLP."""

    def __init__(
        self,
        patches: PatchSplitting,
        self_attention: SpikingAttention | None,
        residual: CrossModalResidual | None,
        sao_head: nn.Linear | None,
        sao_lif: LIF | None,
        mlp: FeedForward,
    ) -> None:
        super().__init__()
        self.patches = patches
        self.self_attention = self_attention
        self.residual = residual
        self.sao_head, self.sao_lif = sao_head, sao_lif
        self.mlp = mlp

    def complement(self, x: Tensor, other: Tensor) -> Tensor | None:
        """Return the CCSSA of this modality, through the SAO head if there is one: (T, B, N, D)."""
        if self.residual is None:
            return None
        out: Tensor = self.residual(x, other)
        if self.sao_head is not None and self.sao_lif is not None:
            out = self.sao_lif(self.sao_head(out).flatten(0, 2)).view_as(out)
        return out


class Model(nn.Module):
    """S-CMRL; see the module's docstring. Keeps no state from call to call."""

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
        alpha: Annotated[
            float,
            Field(ge=0, le=100, description="Strength alpha of the cross-modal residual (Eq. 10)."),
        ] = 1.5,
        ccssa: Annotated[
            Which,
            Field(
                description="Attention that makes the cross-modal residual: spatial, temporal, "
                "both, or none for naive fusion."
            ),
        ] = "both",
        tcsa_layout: Annotated[
            HeadLayout,
            Field(
                description="How the temporal attention splits tokens into heads: per-head as "
                "in the text, scrambled as in the public code."
            ),
        ] = "per-head",
        reduce_single: Annotated[
            bool,
            Field(
                description="Apply the reduction of Eqs 12-15 to spatial or temporal attention "
                "alone too."
            ),
        ] = True,
        self_attention: Annotated[
            Literal["never", "without-ccssa", "always"],
            Field(
                description="When each modality has spiking self-attention (SSA) before fusion "
                "(Eq. 8); in Eq. 10 CCSSA takes its place."
            ),
        ] = "without-ccssa",
        fusion: Annotated[
            Literal["add", "concat"],
            Field(
                description="How the two branches are fused: add by addition, concat by "
                "concatenation."
            ),
        ] = "add",
        sao: Annotated[
            Literal["none", "instance", "supervised", "per-positive"],
            Field(
                description="Alignment loss (SAO): none, instance is Eq. 17, supervised is the "
                "public code's by label, per-positive its mean over positives."
            ),
        ] = "instance",
        sao_temperature: Annotated[
            float,
            Field(gt=0, le=100, description="Temperature tau of the alignment loss (Eq. 17)."),
        ] = 0.1,
        sao_weight: Annotated[
            float, Field(ge=0, le=1000, description="Weight of the alignment loss (Eq. 18).")
        ] = 1.0,
        sao_head: Annotated[
            bool,
            Field(description="Put a linear layer and LIF neurons on the residual before alpha."),
        ] = False,
        tet: TetShare = None,
        neuron: LIFSettings = LIFSettings(),
    ) -> None:
        super().__init__()
        self.alpha, self.fusion, self.tet = alpha, fusion, tet
        # SAO aligns the residuals: without CCSSA there are none
        self.sao = sao if ccssa != "none" else "none"
        self.sao_temperature, self.sao_weight = sao_temperature, sao_weight
        lif = neuron.factory(time_steps)
        # Eq. 8 (SSA) and Eq. 10 (CCSSA) stand in the same place: with both on, SSA comes first
        attend = self_attention == "always" or (
            self_attention == "without-ccssa" and ccssa == "none"
        )

        def branch(channels: int) -> Branch:
            attention = partial(SpikingAttention, width, heads=heads, scale=scale, neuron=lif)
            residual = None
            if ccssa != "none":
                residual = CrossModalResidual(
                    width,
                    which=ccssa,
                    heads=heads,
                    scale=scale,
                    neuron=lif,
                    head_layout=tcsa_layout,
                    reduce_single=reduce_single,
                )
            # the authors' head serves the alignment, and is not built where that is off
            head = sao_head and self.sao != "none"
            return Branch(
                PatchSplitting(channels, width, stages, lif),
                attention(axis="space") if attend else None,
                residual,
                nn.Linear(width, width) if head else None,
                lif() if head else None,
                FeedForward(width, lif),
            )

        self.audio, self.visual = branch(audio_channels), branch(visual_channels)
        self.head = nn.Linear(width * (2 if fusion == "concat" else 1), classes)

    def forward(self, audio: Tensor, visual: Tensor) -> Output:
        """Classify pairs.

        audio: (B, C, H, W), or (T, B, C, H, W) if it changes over time; visual likewise.
        The two must split into the same number N of tokens.
        """
        x_a, x_v = self.audio.patches(audio), self.visual.patches(visual)  # (T, B, N, D), Eq. 6
        if x_a.shape != x_v.shape:
            raise ValueError(f"audio has tokens {tuple(x_a.shape)}, visual {tuple(x_v.shape)}")
        if self.audio.self_attention is not None and self.visual.self_attention is not None:
            x_a = x_a + self.audio.self_attention(x_a, x_a)  # Eq. 8
            x_v = x_v + self.visual.self_attention(x_v, x_v)
        # both residuals come from the features before either is added (Eqs 10, 11)
        res_a, res_v = self.audio.complement(x_a, x_v), self.visual.complement(x_v, x_a)
        if res_a is not None and res_v is not None:
            x_a, x_v = x_a + self.alpha * res_a, x_v + self.alpha * res_v
        z_a, z_v = self.audio.mlp(x_a).mean(2), self.visual.mlp(x_v).mean(2)  # (T, B, D)
        z = torch.cat((z_a, z_v), -1) if self.fusion == "concat" else z_a + z_v
        # the head is linear: the mean of its outputs over T is its output of the mean
        embedding = z.mean(0)
        steps = None if self.tet is None else self.head(z)
        return Output(self.head(embedding), res_a, res_v, step_logits=steps, embedding=embedding)

    def loss(self, output: Output, targets: Targets, label_smoothing: float = 0.0) -> Tensor:
        """Return cross-entropy (or TET) plus the weighted SAO, if it is on: a scalar (Eq. 18)."""
        loss = class_loss(output, targets, label_smoothing, self.tet)
        audio, visual = output.audio_residual, output.visual_residual
        if self.sao == "none" or audio is None or visual is None:
            return loss
        if self.sao == "instance":
            alignment = instance_alignment(audio, visual, self.sao_temperature)
        else:
            alignment = supervised_alignment(
                audio,
                visual,
                targets.labels,
                self.sao_temperature,
                per_positive=self.sao == "per-positive",
            )
        return loss + self.sao_weight * alignment


build = Model
