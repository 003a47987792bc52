"""Crop, flip and shift the samples of a batch, each by draws from its own key.

Every function draws from its own stream, so one set of keys (`counter_rng.keys`) serves them all
and they stay independent of one another.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

from pipelines.errors import UsageError
from pipelines.signal.counter_rng import uniform

# to change a number is to change the augmentation of every recipe
CROP_STREAM, RESIZED_CROP_STREAM, FLIP_STREAM, SHIFT_STREAM = 1, 2, 3, 4
TRIES = 10


def centre_crop(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Cut the middle out: images (B, C, H, W) to (B, C, *size).

    Raises UsageError where the images are smaller than the crop.
    """
    top, left = (space // 2 for space in _space(images, size))
    return images[..., top : top + size[0], left : left + size[1]]


def random_crop(images: Tensor, size: tuple[int, int], keys: Tensor) -> Tensor:
    """Cut a window out at a random whole-pixel place: (B, C, H, W) any dtype to (B, C, *size).

    keys: (B,) int64. Raises UsageError where the images are smaller than the crop.
    """
    space = torch.tensor(_space(images, size), device=images.device)
    corner = _whole(uniform(keys.to(images.device), 2, CROP_STREAM), space + 1)
    # one view of all windows, then one pick a sample: ten times faster than indexing pixels
    windows = images.unfold(2, size[0], 1).unfold(3, size[1], 1)
    sample = torch.arange(len(images), device=images.device)
    return windows[sample, :, corner[:, 0], corner[:, 1]]


def resized_crop(
    images: Tensor,
    size: tuple[int, int],
    keys: Tensor,
    scale: tuple[float, float] = (0.08, 1.0),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
    *,
    antialias: bool = False,
) -> Tensor:
    """Cut out a box of random area and shape and resize it: (B, C, H, W) to float32 (B, C, *size).

    keys: (B,) int64. scale, ratio: see `crop_boxes`. Bilinear, reading no pixel outside the box;
    antialias: as torchvision's RandomResizedCrop, all pixels of a box that is made smaller count.
    """
    height, width = images.shape[-2:]
    boxes = crop_boxes(keys.to(images.device), height, width, scale, ratio)
    top, left, box_height, box_width = boxes.unbind(1)
    if antialias:
        rows = _resampled(images, top, box_height, size[0])
        return _resampled(rows.mT, left, box_width, size[1]).mT
    y = _centres(top, box_height, size[0], height)
    x = _centres(left, box_width, size[1], width)
    grid = torch.stack(
        [x[:, None, :].expand(-1, size[0], -1), y[:, :, None].expand(-1, -1, size[1])], -1
    )
    return functional.grid_sample(
        images.to(torch.float32), grid, mode="bilinear", padding_mode="border", align_corners=False
    )


def crop_boxes(
    keys: Tensor, height: int, width: int, scale: tuple[float, float], ratio: tuple[float, float]
) -> Tensor:
    """Draw the boxes of `resized_crop`: keys (B,) to (B, 4) int64 of top, left, height, width.

    scale: range of the box's share of the area. ratio: range of its width over its height, drawn
    evenly on a logarithmic scale. The first of ten tries that fits the image counts; if none
    does, the largest middle box of an allowed ratio (Szegedy et al. 2015, as in torchvision).
    """
    # all ten tries at once: a loop until one fits would wait for the device after each
    draws = uniform(keys, 4 * TRIES, RESIZED_CROP_STREAM).double().view(-1, TRIES, 4)
    area = height * width * (scale[0] + (scale[1] - scale[0]) * draws[..., 0])
    # evenly in the logarithm, so that 3:4 and 4:3 are equally likely
    low, high = math.log(ratio[0]), math.log(ratio[1])
    aspect = torch.exp(low + (high - low) * draws[..., 1])
    size = torch.stack([(area / aspect).sqrt(), (area * aspect).sqrt()], dim=-1).round().long()
    space = torch.tensor([height, width], device=keys.device) - size
    fits = ((size > 0) & (space >= 0)).all(dim=-1)
    boxes = torch.cat([_whole(draws[..., 2:], space + 1), size], dim=-1)
    first = fits.int().argmax(dim=1)  # the first that fits; 0 if none does
    drawn = boxes[torch.arange(len(keys), device=keys.device), first]
    middle = torch.tensor(_middle_box(height, width, ratio), device=keys.device)
    return torch.where(fits.any(dim=1, keepdim=True), drawn, middle)


def flip(images: Tensor, keys: Tensor) -> Tensor:
    """Mirror about half of the samples left to right: images (B, C, H, W), keys (B,) int64."""
    chosen = uniform(keys.to(images.device), 1, FLIP_STREAM) < 0.5
    return torch.where(chosen[:, :, None, None], images.flip(-1), images)


def time_shift(features: Tensor, share: float, keys: Tensor, fill: float | None = None) -> Tensor:
    """Shift each sample in time: features (B, C, H, W) with time last, keys (B,) int64.

    share: the furthest shift either way, as a share of W; whole frames, all equally likely.
    fill: the value of the frames that come free; None takes the sample's minimum, its silence.
    """
    batch, _, _, width = features.shape
    furthest = int(share * width)
    draws = uniform(keys.to(features.device), 1, SHIFT_STREAM)
    shift = _whole(draws, torch.tensor(2 * furthest + 1, device=features.device)) - furthest
    source = torch.arange(width, device=features.device) - shift  # (B, W)
    inside = ((source >= 0) & (source < width))[:, None, None, :]
    moved = features.gather(-1, source.clamp(0, width - 1)[:, None, None, :].expand_as(features))
    empty = features.amin(dim=(1, 2, 3)) if fill is None else features.new_full((batch,), fill)
    return torch.where(inside, moved, empty[:, None, None, None])


def _space(images: Tensor, size: tuple[int, int]) -> tuple[int, int]:
    height, width = images.shape[-2:]
    if size[0] > height or size[1] > width:
        raise UsageError(
            f"a crop of {size[0]}x{size[1]} does not fit into images of {height}x{width}",
            "make the crop smaller, or the feature's size or margin larger",
        )
    return height - size[0], width - size[1]


def _whole(draws: Tensor, count: Tensor) -> Tensor:
    """Turn draws in [0, 1) into whole numbers from 0 to count - 1."""
    # float32 would round the largest draws up to count itself
    return (draws.double() * count).long()


def _centres(start: Tensor, length: Tensor, points: int, whole: int) -> Tensor:
    """Return where (B, points) evenly spread points of a box lie, in grid_sample's -1 to 1."""
    step = (torch.arange(points, device=start.device, dtype=torch.float64) + 0.5) / points
    pixel = start[:, None] + step * length[:, None] - 0.5
    last = (start + length - 1)[:, None].double()
    # no pixel beyond the box, whose edge is not the image's: padding_mode does not see it
    pixel = torch.minimum(torch.maximum(pixel, start[:, None].double()), last)
    return ((2 * pixel + 1) / whole - 1).float()


def _resampled(images: Tensor, start: Tensor, length: Tensor, points: int) -> Tensor:
    """Resize rows start to start + length of each image to `points`: float32 (B, C, points, W).

    Each new row is the mean of the old ones under a triangle as wide as two of the larger of both
    rows, as torch's antialiased bilinear resizing has it.
    """
    whole = images.shape[-2]
    place = torch.arange(points, device=start.device, dtype=torch.float64) + 0.5
    step = length[:, None].double() / points
    centre, support = place * step, step.clamp(min=1)
    first = (centre - support + 0.5).floor()
    sample = torch.arange(len(images), device=images.device)[:, None]
    out = images.new_zeros((len(images), points, *images.shape[1::2]), dtype=torch.float32)
    total = torch.zeros_like(centre)
    # a triangle's weights one row after another: as many for every box, so a box's do not depend
    # on the others in its batch
    for tap in range(2 * math.ceil(max(1.0, whole / points)) + 1):
        row = first + tap
        weight = (1 - (row + 0.5 - centre).abs() / support).clamp(min=0)
        weight = torch.where((row >= 0) & (row < length[:, None]), weight, 0.0)
        number = (start[:, None] + row.long()).clamp(0, whole - 1)
        out += weight.float()[..., None, None] * images[sample, :, number]
        total += weight
    return (out / total.float()[..., None, None]).movedim(1, 2)


def _middle_box(height: int, width: int, ratio: tuple[float, float]) -> tuple[int, int, int, int]:
    """Return the largest middle box of an allowed ratio: top, left, height, width."""
    box_height = min(height, max(1, round(width / ratio[0])))
    box_width = min(width, max(1, round(height * ratio[1])))
    return (height - box_height) // 2, (width - box_width) // 2, box_height, box_width
