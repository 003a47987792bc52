"""Frames of an event camera: event counts of each pixel in a few bins of time."""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from pipelines.features._sizes import Side
from pipelines.readers.events import EventBatch

if TYPE_CHECKING:
    from torch import Tensor

MODALITY = "visual"
READS = "events"
VERSION = 1
UNIT = "events, 0 to 255"

BinBy = Literal["time", "count"]
MAX_CELLS = 1 << 24  # counted at a time: 128 MiB, as bincount counts in int64


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
            "number of events."
        ),
    ] = "time",
    size: Annotated[
        tuple[Side, Side],
        Field(description="Rows and columns in pixels that the network receives."),
    ] = (28, 28),
    margin: Annotated[
        int,
        Field(
            ge=0,
            le=512,
            description="Extra pixels on every side, in which the training crops move.",
        ),
    ] = 0,
    polarity: Annotated[
        Literal["two", "sum"],
        Field(
            description="Channels of a frame: two counts darker and brighter events apart, "
            "sum counts them together."
        ),
    ] = "two",
) -> "Tensor":
    """Count the events: (B, T, C, H + 2 margin, W + 2 margin) uint8, saturating at 255.

    Channel 0 is darker (p = 0), channel 1 brighter; with "sum" there is one. Each event goes to
    the target pixel that the centre of its own lies in, row floor((y + 1/2) · rows / height), so
    that none is lost or counted twice; where the ratio is no whole number, target pixels gather
    from areas that differ by a row or column. See `time_bins` for T. No event in any bin is 0.
    """
    import torch  # here: reading a recipe needs this file, not torch

    rows, columns = (side + 2 * margin for side in size)
    # (y + 1/2) rows / height in whole numbers: a float might round an edge to either side
    row = (2 * batch.y + 1) * rows // (2 * batch.height)
    column = (2 * batch.x + 1) * columns // (2 * batch.width)
    place = row * columns + column
    channels = 1
    if polarity == "two":
        place, channels = place + batch.p * (rows * columns), 2
    counts = histogram(batch, place, channels * rows * columns, time_steps, bin_by, torch.uint8)
    return counts.view(batch.recordings, time_steps, channels, rows, columns)


def time_bins(batch: EventBatch, time_steps: int, bin_by: BinBy) -> "Tensor":
    """Return the bin that each event falls in: (n,) int64, 0 to time_steps - 1.

    By time, a bin is floor(span / T) µs long (at least 1), span from a recording's first event to
    its last; by count it has floor(n / T) events (at least 1). What is left over, at least the
    very last event by time, is in the last bin: tonic's ToFrame has the same bins and drops it.
    """
    import torch

    ends = _ends(batch)
    first, end = ends[:-1][batch.recording], ends[1:][batch.recording]
    if bin_by == "time":
        position = batch.t_us - batch.t_us[first]
        span = batch.t_us[end - 1] - batch.t_us[first]
    else:
        position = torch.arange(len(first), device=first.device) - first
        span = end - first
    # what is left over joins the last bin: a longer one, and no event is lost
    return (position // (span // time_steps).clamp(min=1)).clamp(max=time_steps - 1)


def histogram(
    batch: EventBatch, place: "Tensor", places: int, time_steps: int, bin_by: BinBy, dtype: object
) -> "Tensor":
    """Count events by recording, bin and place: (B, T, places) of a dtype, at most 255 in uint8.

    place: (n,) int64 below `places`. Exact and in no particular order, hence the same on every
    device. Memory is bounded: a few recordings are counted at a time.
    """
    import torch

    # one number for each (recording, bin, place): a single bincount does the whole histogram
    key = (batch.recording * time_steps + time_bins(batch, time_steps, bin_by)) * places + place
    ends = _ends(batch).tolist()
    cells = time_steps * places
    out: Tensor = torch.empty((batch.recordings, cells), dtype=dtype, device=key.device)  # type: ignore[call-overload]
    run = max(1, MAX_CELLS // cells)
    for start in range(0, batch.recordings, run):
        stop = min(start + run, batch.recordings)
        keys = key[ends[start] : ends[stop]] - start * cells
        counts = torch.bincount(keys, minlength=(stop - start) * cells)
        if dtype == torch.uint8:  # saturate: the conversion alone would wrap 256 to 0
            counts = counts.clamp(max=255)
        out[start:stop] = counts.view(stop - start, cells)
    return out.view(batch.recordings, time_steps, places)


def _ends(batch: EventBatch) -> "Tensor":
    """Return where each recording begins, and where the last one ends: (B + 1,) int64."""
    import torch

    numbers = torch.arange(batch.recordings + 1, device=batch.recording.device)
    return torch.searchsorted(batch.recording, numbers)
