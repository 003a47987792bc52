"""SLCnet, the SLoClas baseline (Qian et al., arXiv 2108.02539): an MLP a frame, max over frames.

SpikSLC-Net's tables call it GCC-PHAT-CNN. As in the authors' code but for two things: log-mel
bands replace its MFCC, since the input is `gcc_logmel`; and the class scores go to the
cross-entropy directly, where that code has a sigmoid in between.
"""

from typing import Annotated, Any

from pydantic import Field
from torch import Tensor, nn

from pipelines.ann.output import Output, Targets
from pipelines.errors import UsageError
from pipelines.snn.doa import BINS
from pipelines.snn.localisation import joint_loss

PRESETS: dict[str, dict[str, Any]] = {"paper": {}}
ASSUMED = ("sigma_deg",)


class Model(nn.Module):
    """Two shared layers a frame, the maximum over frames, and a head of two layers for each task.

    Each layer but the last is Linear - BN - ReLU - dropout.
    """

    def __init__(
        self,
        *,
        classes: int,
        audio_channels: int,
        width: Annotated[
            int, Field(ge=8, le=8192, description="Number of units of each layer.")
        ] = 1024,
        dropout: Annotated[
            float, Field(ge=0, lt=1, description="Dropout probability after each ReLU.")
        ] = 0.2,
        bins: Annotated[
            int,
            Field(
                ge=1,
                le=4096,
                description="Number of lags, and of mel bands, in a frame of the input.",
            ),
        ] = 51,
        doa_weight: Annotated[
            float,
            Field(
                ge=0, le=1, description="Weight of the azimuth's loss; the classes' has the rest."
            ),
        ] = 0.99,
        sigma_deg: Annotated[
            float,
            Field(gt=0, le=180, description="Width sigma of the azimuth's target in degrees."),
        ] = 5.0,
    ) -> None:
        super().__init__()
        self.bins, self.doa_weight, self.sigma_deg = bins, doa_weight, sigma_deg

        def layer(before: int) -> nn.Sequential:
            return nn.Sequential(
                nn.Linear(before, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(dropout)
            )

        self.shared = nn.Sequential(layer(audio_channels * bins), layer(width))
        self.doa_layer, self.class_layer = layer(width), layer(width)
        self.doa_head, self.class_head = nn.Linear(width, BINS), nn.Linear(width, classes)

    def forward(self, audio: Tensor) -> Output:
        """Locate and classify (B, C, bins, F); UsageError for another number of bins."""
        if audio.shape[-2] != self.bins:
            raise UsageError(
                f"the input has {audio.shape[-2]} lags or bands a frame, the model {self.bins}",
                f"set model.bins={audio.shape[-2]}",
            )
        frames = audio.permute(0, 3, 1, 2)  # (B, F, C, bins)
        # each frame on its own: the batch norms see B F of them
        each = self.shared(frames.flatten(2).flatten(0, 1))
        # each feature's largest value over frames: a short sound is not averaged away
        pooled = each.view(*frames.shape[:2], -1).amax(1)
        embedding = self.class_layer(pooled)
        azimuth = self.doa_head(self.doa_layer(pooled))
        return Output(self.class_head(embedding), azimuth=azimuth, embedding=embedding)

    def loss(self, output: Output, targets: Targets, label_smoothing: float = 0.0) -> Tensor:
        """Return the loss of SpikSLC-Net, a scalar; UsageError if the clips have no azimuth."""
        return joint_loss(output, targets, self.doa_weight, self.sigma_deg, label_smoothing)


build = Model
