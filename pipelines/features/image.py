"""Images in one size and number of channels, as 8-bit levels."""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from pipelines.errors import UsageError
from pipelines.features._sizes import Side

if TYPE_CHECKING:
    from torch import Tensor

MODALITY = "visual"
READS = "image"
VERSION = 1
UNIT = "level, 0 to 255"

Margin = Annotated[int, Field(ge=0, le=512)]
Fit = Literal["stretch", "cover"]


def extract(
    images: "Tensor",
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
) -> "Tensor":
    """Resize images, whatever their shape, to (H + 2 margin, W + 2 margin), bilinear, antialiased.

    images: (B, C, height, width) uint8 with C 1 or 3. Returns (B, channels, rows, columns) uint8.
    "cover" resizes one side to that of the rows returned and cuts the other one, so that their
    middle is torchvision's Resize(H + 2 margin), CenterCrop(size) where H + 2 margin is of the
    shorter side. Grey is the luma of ITU-R BT.601, as Pillow's mode "L" has it; grey to colour
    repeats it. Raises UsageError for another C.
    """
    import torch  # here: reading a recipe needs this file, not torch
    from torch.nn import functional

    if images.shape[1] not in (1, 3):
        raise UsageError(
            f"images with {images.shape[1]} channels: this feature takes grey (1) or colour (3)",
            "use the feature that the dataset's recipe names",
        )
    # before resizing, as Pillow's L images are: a third of the work
    if channels == 1 and images.shape[1] == 3:
        images = _luma(images)
    above, beside = (margin, margin) if isinstance(margin, int) else margin
    stored = (size[0] + 2 * above, size[1] + 2 * beside)
    whole = stored if fit == "stretch" else _covering(images.shape[-2], images.shape[-1], stored)
    resized = functional.interpolate(
        images.to(torch.float32), size=whole, mode="bilinear", align_corners=False, antialias=True
    )
    if fit == "cover":
        # the middle, less the margin: Python's round goes to even, as torchvision's CenterCrop does
        top, left = (
            round((have - middle) / 2) - extra
            for have, middle, extra in zip(whole, size, (above, beside), strict=True)
        )
        resized = resized[..., top : top + stored[0], left : left + stored[1]]
    levels = resized.round().clamp(0, 255).to(torch.uint8)
    return levels.expand(-1, channels, -1, -1).contiguous()


def _covering(height: int, width: int, stored: tuple[int, int]) -> tuple[int, int]:
    """Return the smallest size of an image's own ratio that has no side below `stored`."""
    rows, columns = stored
    if height * columns >= width * rows:
        return columns * height // width, columns
    return rows, rows * width // height


def _luma(images: "Tensor") -> "Tensor":
    """Mix red, green and blue by 0.299, 0.587 and 0.114 in 16-bit fixed point, rounded."""
    red, green, blue = images.int().unbind(1)
    # Pillow's own integers, so that grey levels equal its to the bit
    return ((19595 * red + 38470 * green + 7471 * blue + 32768) >> 16)[:, None]
