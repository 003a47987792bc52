"""Normalise a cache's rows for the network: (x - mean) / sd by channel."""

from dataclasses import dataclass

import torch
from torch import Tensor

from pipelines.cache.receipts import Statistics
from pipelines.recipe.settings_from_signature import Section

# of images in [0, 1], by red, green and blue: torchvision's weights were trained with them
IMAGENET_MEAN, IMAGENET_SD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Scale:
    """(x - mean) / sd by channel: mean and sd are (C, 1, 1) float32."""

    mean: Tensor
    sd: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """Normalise x: (B, C, H, W) or (B, T, C, H, W) in the cache's unit; returns float32."""
        return (x.float() - self.mean) / self.sd


def scale_of(section: Section, measured: Statistics, device: torch.device) -> Scale:
    """Make the scale of an input. measured: of the training rows."""
    used = statistics_used(section, measured)
    mean, sd = (
        torch.tensor(values, device=device)[:, None, None].float()
        for values in (used.mean, used.sd)
    )
    return Scale(mean, sd)


def statistics_used(section: Section, measured: Statistics) -> Statistics:
    """Return the mean and sd of each channel that an input's `normalise` asks for."""
    normalise: str = section.normalise  # type: ignore[attr-defined]
    if normalise == "imagenet":
        mean, sd = ([255 * value for value in values] for values in (IMAGENET_MEAN, IMAGENET_SD))
        return Statistics(mean=mean, sd=sd)
    if normalise == "none":
        channels = len(measured.mean)
        return Statistics(mean=[0.0] * channels, sd=[1.0] * channels)
    return measured
