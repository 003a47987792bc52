"""Frames of a video, in one size and number of channels, as 8-bit levels."""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from pipelines.features._sizes import Side
from pipelines.features.image import Fit, Margin
from pipelines.features.image import extract as resize

if TYPE_CHECKING:
    from torch import Tensor

MODALITY = "visual"
READS = "video"
# used when the file is decoded: by the time of `extract` the frames are chosen
READ_SETTINGS = ("pick", "frames", "pick_seed")
VERSION = 1
UNIT = "level, 0 to 255"


def extract(
    videos: "Tensor",
    *,
    size: Annotated[
        tuple[Side, Side],
        Field(description="Rows and columns in pixels that the network receives."),
    ] = (128, 128),
    margin: Annotated[
        Margin | tuple[Margin, Margin],
        Field(
            description="Extra pixels in which the training crops move: one number for "
            "every side, or two, above and beside."
        ),
    ] = 0,
    fit: Annotated[
        Fit,
        Field(
            description="How an image is fitted to the size: stretch changes its shape, "
            "cover keeps it and cuts off what is over."
        ),
    ] = "stretch",
    channels: Annotated[
        Literal[1, 3], Field(description="Number of channels: 1 is grey, 3 is red, green and blue.")
    ] = 3,
    pick: Annotated[
        Literal["middle", "random", "even"],
        Field(
            description="Which frames are taken: middle is around the middle, random is "
            "drawn by seed, even is evenly spaced."
        ),
    ] = "random",
    frames: Annotated[
        int, Field(ge=1, le=256, description="Number of frames; 1, or the model's time_steps.")
    ] = 1,
    pick_seed: Annotated[
        int, Field(ge=0, description="Seed by which random frames are drawn.")
    ] = 0,
) -> "Tensor":
    """Resize the frames that were read, each as the feature `image` does.

    videos: (B, k, 3, height, width) uint8. Returns (B, channels, H + 2 margin, W + 2 margin)
    uint8 for one frame, (B, T, channels, …) with T = k for more. S-CMRL takes one random frame a
    clip, which is not seeded.
    """
    flat = resize(videos.flatten(0, 1), size=size, margin=margin, fit=fit, channels=channels)
    count = videos.shape[1]  # one frame is a static image: no axis of time
    return flat if count == 1 else flat.view(-1, count, *flat.shape[1:])
