"""SMLP: a spiking MLP on the L2-normalised features of two networks (Oikonomou et al.).

Each modality's features are averaged over its own steps, normalised and fed to the MLP at every
step: concat - BN - LIF - Linear - BN - LIF - Linear - LIF. As published, the branches are trained
alone and frozen: `train.start_from` and `train.freeze` of the recipe.

    model = Model(classes=10, audio_channels=1, visual_channels=3)
    out = model(audio, visual)              # audio (B, 1, 64, 431), visual (B, 3, 32, 32)
    loss = model.loss(out, Targets(labels))
"""

from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from pipelines.ann.output import Output, Targets
from pipelines.models import l2_act_spike_net as visual_net
from pipelines.models import smlp_audio as audio_net
from pipelines.recipe.settings_from_signature import Section, keyword_arguments
from pipelines.snn.count_loss import count_loss
from pipelines.snn.snntorch_leaky import LeakySettings
from pipelines.snn.spike_count_head import Counted, Rate, SpikeCountHead, TimeSteps, unit

PRESETS: dict[str, dict[str, Any]] = {"paper": {}}
ASSUMED = ("hidden", "projection", "correct_rate", "incorrect_rate", "count_target", "neuron")


class AudioBranch(Section):
    """The audio network, as in `smlp-audio`."""

    time_steps: TimeSteps = 4
    width: audio_net.Width = 16
    blocks: audio_net.Blocks = 3
    pooling: audio_net.Pooling = True
    bands: audio_net.Bands = 64
    frames: audio_net.Frames = 431
    neuron: LeakySettings = audio_net.NEURON


class VisualBranch(Section):
    """The visual network, as in `l2-act-spike-net`."""

    time_steps: TimeSteps = 8
    width: visual_net.Width = 64
    stem: visual_net.Stem = "3x3"
    order: visual_net.LifOrder = "lif-before-bn"
    lif_before_add: visual_net.LifBeforeAdd = False
    neuron: LeakySettings = LeakySettings()


class Branch(nn.Module):
    """One modality's features, averaged over time, normalised, and projected to `projection`."""

    def __init__(
        self,
        features: audio_net.AudioFeatures | visual_net.VisualFeatures,
        *,
        l2: bool,
        projection: int | None,
    ) -> None:
        super().__init__()
        self.features, self.l2 = features, l2
        self.size = projection or features.size
        self.project = nn.Linear(features.size, projection) if projection else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, C, H, W), static, or (T, B, C, H, W), to (B, size)."""
        z = self.features(x)
        z = z.mean(0, dtype=torch.promote_types(z.dtype, torch.float32))
        # length 1, so that the larger of two networks does not outweigh the other
        out: Tensor = self.project(unit(z) if self.l2 else z)
        return out


class Model(nn.Module):
    """SMLP; see the module's docstring. Keeps no state from call to call."""

    def __init__(
        self,
        *,
        classes: int,
        audio_channels: int,
        visual_channels: int,
        time_steps: TimeSteps = 8,
        hidden: Annotated[
            int, Field(ge=1, le=65536, description="Number of hidden units of the MLP.")
        ] = 512,
        projection: Annotated[
            Annotated[int, Field(ge=1, le=65536)] | None,
            Field(
                description="Width that each modality is projected to before fusion; null is no "
                "projection."
            ),
        ] = None,
        l2: Annotated[
            bool, Field(description="Normalise each modality's features to length 1.")
        ] = True,
        correct_rate: Rate = 0.90,
        incorrect_rate: Rate = 0.10,
        count_target: Counted = "truncated",
        audio_branch: Annotated[
            AudioBranch, Field(description="Settings of the audio network, as of `smlp-audio`.")
        ] = AudioBranch(),
        visual_branch: Annotated[
            VisualBranch,
            Field(description="Settings of the visual network, as of `l2-act-spike-net`."),
        ] = VisualBranch(),
        neuron: LeakySettings = LeakySettings(),
    ) -> None:
        super().__init__()
        # only the settings that each network's features take: a branch has no head of its own
        audio_settings = keyword_arguments(audio_net.AudioFeatures, audio_branch)
        visual_settings = keyword_arguments(visual_net.VisualFeatures, visual_branch)
        self.audio = Branch(
            audio_net.AudioFeatures(audio_channels, **audio_settings),
            l2=l2,
            projection=projection,
        )
        self.visual = Branch(
            visual_net.VisualFeatures(visual_channels, **visual_settings),
            l2=l2,
            projection=projection,
        )
        lif = neuron.factory(time_steps)
        self.norm = nn.BatchNorm1d(self.visual.size + self.audio.size)
        self.lif = lif()
        self.linear = nn.Linear(self.norm.num_features, hidden, bias=False)
        self.hidden_norm, self.hidden_lif = nn.BatchNorm1d(hidden), lif()
        self.head = SpikeCountHead(hidden, classes, lif(), l2=False, current="per-step")
        self.time_steps = time_steps
        self.rates, self.count_target = (correct_rate, incorrect_rate), count_target

    def forward(self, audio: Tensor, visual: Tensor) -> Output:
        """Classify pairs: each (B, C, H, W), static, or (T, B, C, H, W) with its branch's T.

        Raises UsageError for another number of bands, frames or steps.
        """
        # (B, sizes of both), visual first; time is gone, so the two may have different T
        both = torch.cat((self.visual(visual), self.audio(audio)), -1)
        spikes = self.lif(
            self.norm(both), static=True
        )  # (T B, sizes): the same current at every step
        spikes = self.hidden_lif(self.hidden_norm(self.linear(spikes)))
        out: Output = self.head(torch.unflatten(spikes, 0, (self.time_steps, -1)))
        return out

    def loss(self, output: Output, targets: Targets, label_smoothing: float = 0.0) -> Tensor:
        """Return the squared error of the spike counts, a scalar (Eqs 15-16)."""
        correct, incorrect = self.rates
        return count_loss(
            output.logits,
            targets.labels,
            time_steps=self.time_steps,
            correct_rate=correct,
            incorrect_rate=incorrect,
            target=self.count_target,
            label_smoothing=label_smoothing,
        )


build = Model
