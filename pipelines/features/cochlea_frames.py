"""Frames of a silicon cochlea: spike counts of each channel in a few bins of time."""

from math import isqrt
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from pipelines.errors import UsageError
from pipelines.features.event_frames import BinBy, histogram
from pipelines.readers.events import EventBatch

if TYPE_CHECKING:
    from torch import Tensor

MODALITY = "audio"
READS = "spikes"
VERSION = 1
UNIT = "spikes"

# smaller than an image's Side: its frames are float32 and come T at a time
CochleaSide = Annotated[int, Field(ge=1, le=1024)]


def extract(
    batch: EventBatch,
    *,
    time_steps: Annotated[
        int,
        Field(ge=1, le=1024, description="Number of time bins T that a recording is divided into."),
    ] = 16,
    bin_by: Annotated[
        BinBy,
        Field(
            description="How bins are cut: time gives all the same duration, count the same "
            "number of spikes."
        ),
    ] = "time",
    layout: Annotated[
        Literal["square", "column"],
        Field(
            description="How the cochlea's channels become an image: square puts 64 "
            "channels into 8 rows of 8, column gives each channel a row."
        ),
    ] = "square",
    size: Annotated[
        tuple[CochleaSide, CochleaSide] | None,
        Field(
            description="Rows and columns that a frame is resized to; null keeps the layout's own."
        ),
    ] = (28, 28),
) -> "Tensor":
    """Count the spikes and lay the channels out in a plane: (B, T, 1, H, W) float32.

    batch: height 1, x is the channel. Square: channel c stands in row c // 8, column c % 8 (of
    64), as in S-CMRL's N-TIDIGITS input; column: in row c of a plane one wide. Resizing is
    bilinear, antialiased, and does not keep the sum. Bins of time as in event_frames.
    Raises UsageError for a camera's events, and for square where the channels make none.
    """
    import torch  # here: reading a recipe needs this file, not torch
    from torch.nn import functional

    if batch.height != 1:
        raise UsageError(
            f"events of {batch.height} x {batch.width} pixels are not a cochlea's",
            "use the feature event_frames",
        )
    rows, columns = batch.width, 1
    if layout == "square":
        rows = columns = isqrt(batch.width)
        if rows * columns != batch.width:
            raise UsageError(
                f"{batch.width} channels do not make a square", "set audio.layout: column"
            )
    # (B, T, channels); float32, for resizing makes fractions of them
    counts = histogram(batch, batch.x, batch.width, time_steps, bin_by, torch.float32)
    # (B T, 1, rows, columns): interpolate takes one batch axis
    planes = counts.view(-1, 1, rows, columns)
    if size is not None:
        planes = functional.interpolate(
            planes, size=size, mode="bilinear", align_corners=False, antialias=True
        )
    return planes.view(batch.recordings, time_steps, 1, *planes.shape[-2:])
