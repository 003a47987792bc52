"""Crops, flips and shifts: the right pixels, and a pure function of the key."""

import math
from collections.abc import Callable

import pytest
import torch
from scipy import stats
from torch import Tensor
from torch.nn import functional
from torchvision.transforms import functional as torchvision

from pipelines.errors import UsageError
from pipelines.signal.counter_rng import keys
from pipelines.signal.crops import (
    centre_crop,
    crop_boxes,
    flip,
    random_crop,
    resized_crop,
    time_shift,
)

SCALE, RATIO = (0.08, 1.0), (3 / 4, 4 / 3)


def index_images(batch: int, height: int, width: int) -> Tensor:
    """Images whose pixels say where they are: 1000 row + column, and a sample number beside it."""
    place = 1000 * torch.arange(height)[:, None] + torch.arange(width)
    sample = torch.arange(batch)[:, None, None].expand(-1, height, width)
    return torch.stack([place.expand(batch, -1, -1), sample], dim=1)


def random_images(batch: int, height: int, width: int) -> Tensor:
    return torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(1))


RANDOM: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "random_crop": lambda x, k: random_crop(x, (16, 20), k),
    "resized_crop": lambda x, k: resized_crop(x, (16, 20), k),
    "resized_crop, antialiased": lambda x, k: resized_crop(x, (16, 20), k, antialias=True),
    "flip": flip,
    "time_shift": lambda x, k: time_shift(x, 0.3, k),
}


@pytest.mark.parametrize("name", RANDOM)
def test_each_sample_is_a_pure_function_of_its_key(name: str) -> None:
    images, some = random_images(32, 32, 40), keys(0, 0, torch.arange(32))
    whole = RANDOM[name](images, some)
    alone = torch.cat([RANDOM[name](images[i : i + 1], some[i : i + 1]) for i in range(32)])
    assert torch.equal(alone, whole)
    order = torch.randperm(32, generator=torch.Generator().manual_seed(0))
    assert torch.equal(RANDOM[name](images[order], some[order]), whole[order])
    assert not torch.equal(RANDOM[name](images, keys(0, 1, torch.arange(32))), whole)


def test_the_centre_crop_is_torchvisions() -> None:
    images = random_images(2, 33, 40)
    assert torch.equal(centre_crop(images, (11, 20)), images[..., 11:22, 10:30])
    expected = torchvision.center_crop(images[..., :32, :], [16, 20])
    assert torch.equal(centre_crop(images[..., :32, :], (16, 20)), expected)


def test_a_random_crop_is_a_window_of_its_own_sample() -> None:
    images = index_images(500, 20, 30)
    crops = random_crop(images, (8, 10), keys(0, 0, torch.arange(500)))
    top, left = crops[:, 0, 0, 0] // 1000, crops[:, 0, 0, 0] % 1000
    for sample in range(500):
        t, l = int(top[sample]), int(left[sample])  # noqa: E741
        assert torch.equal(crops[sample], images[sample, :, t : t + 8, l : l + 10])
    # every offset from 0 to the last occurs, evenly
    assert stats.chisquare(torch.bincount(top, minlength=13).numpy()).pvalue > 1e-3
    assert stats.chisquare(torch.bincount(left, minlength=21).numpy()).pvalue > 1e-3
    assert len(torch.bincount(top)) == 13
    assert len(torch.bincount(left)) == 21


def test_a_crop_of_the_whole_image_is_the_image() -> None:
    images = (random_images(3, 8, 9) * 255).to(torch.uint8)
    assert torch.equal(random_crop(images, (8, 9), torch.arange(3)), images)
    assert torch.equal(centre_crop(images, (8, 9)), images)


def test_a_crop_larger_than_the_image_is_refused_in_one_line() -> None:
    with pytest.raises(UsageError, match="a crop of 9x8 does not fit into images of 8x8") as caught:
        random_crop(random_images(1, 8, 8), (9, 8), torch.arange(1))
    assert "margin" in caught.value.hint
    with pytest.raises(UsageError):
        centre_crop(random_images(1, 8, 8), (8, 9))


def test_resized_crop_of_everything_is_a_plain_resize() -> None:
    images = random_images(4, 64, 64)
    for size in ((32, 32), (128, 128), (50, 70)):
        crops = resized_crop(images, size, torch.arange(4), scale=(1, 1), ratio=(1, 1))
        expected = functional.interpolate(images, size, mode="bilinear", align_corners=False)
        torch.testing.assert_close(crops, expected, rtol=0, atol=2e-5)


def test_resized_crop_is_torchvisions_for_the_same_box() -> None:
    images, some = random_images(40, 60, 90), keys(0, 0, torch.arange(40))
    crops = resized_crop(images, (32, 48), some)
    for sample, box in enumerate(crop_boxes(some, 60, 90, SCALE, RATIO).tolist()):
        expected = torchvision.resized_crop(images[sample], *box, size=[32, 48], antialias=False)
        torch.testing.assert_close(crops[sample], expected, rtol=0, atol=5e-5)


@pytest.mark.parametrize("size", [(16, 24), (60, 90), (128, 128)], ids=str)
def test_an_antialiased_resized_crop_is_torchvisions_for_the_same_box(
    size: tuple[int, int],
) -> None:
    images, some = random_images(40, 60, 90), keys(0, 0, torch.arange(40))
    crops = resized_crop(images, size, some, antialias=True)
    for sample, box in enumerate(crop_boxes(some, 60, 90, SCALE, RATIO).tolist()):
        expected = torchvision.resized_crop(images[sample], *box, size=list(size), antialias=True)
        torch.testing.assert_close(crops[sample], expected, rtol=0, atol=1e-5)
    assert torch.equal(
        resized_crop((255 * images).to(torch.uint8), size, some, antialias=True),
        resized_crop((255 * images).to(torch.uint8).float(), size, some, antialias=True),
    )


def test_boxes_lie_inside_and_have_the_asked_area_and_ratio() -> None:
    boxes = crop_boxes(keys(0, 0, torch.arange(20_000)), 200, 200, SCALE, RATIO)
    top, left, height, width = boxes.unbind(1)
    assert bool(((top >= 0) & (left >= 0) & (height > 0) & (width > 0)).all())
    assert bool(((top + height <= 200) & (left + width <= 200)).all())
    area, ratio = height * width / 200**2, width / height
    # rounding to whole pixels moves a box of 56 pixels by up to a hundredth
    assert 0.078 < float(area.min()) < 0.085
    assert 0.98 < float(area.max()) <= 1
    assert 0.74 < float(ratio.min()) < 0.76
    assert 1.32 < float(ratio.max()) < 1.35
    # small boxes always fit: there the ratio is even on a logarithmic scale
    small = ratio[area < 0.5].double().log() / math.log(4 / 3)
    assert stats.kstest(small.numpy(), "uniform", args=(-1, 2)).statistic < 0.02
    assert (
        stats.kstest(area[area < 0.5].double().numpy(), "uniform", args=(0.08, 0.42)).statistic
        < 0.02
    )


def test_the_ratio_of_a_box_is_its_width_over_its_height() -> None:
    boxes = crop_boxes(torch.arange(100), 200, 200, (0.1, 0.4), (2.0, 2.0))
    assert bool((boxes[:, 3] - 2 * boxes[:, 2]).abs().le(2).all())


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    # where no try fits: as tall, or as wide, as the image, in the nearest allowed ratio
    [(12, 400, (0, 192, 12, 16)), (400, 12, (192, 0, 16, 12))],
)
def test_an_image_of_extreme_shape_gives_its_middle(
    height: int, width: int, expected: tuple[int, int, int, int]
) -> None:
    boxes = crop_boxes(torch.arange(50), height, width, (0.9, 1.0), RATIO)
    assert boxes.tolist() == [list(expected)] * 50


def test_flip_mirrors_about_half() -> None:
    images = index_images(4000, 2, 5)
    flipped = flip(images, keys(0, 0, torch.arange(4000)))
    mirrored = (flipped == images.flip(-1)).flatten(1).all(dim=1)
    unchanged = (flipped == images).flatten(1).all(dim=1)
    assert bool((mirrored ^ unchanged).all())
    assert stats.binomtest(int(mirrored.sum()), 4000).pvalue > 1e-3


def test_time_shift_moves_whole_frames_and_fills_with_silence() -> None:
    frames = torch.arange(1.0, 21.0).expand(3000, 1, 2, 20)
    shifted = time_shift(frames, 0.25, keys(0, 0, torch.arange(3000)))
    amounts = []
    for sample in shifted[:, 0, 0]:
        amount = next(
            shift
            for shift in range(-5, 6)
            if sample.tolist()
            == [i - shift + 1.0 if 0 <= i - shift < 20 else 1.0 for i in range(20)]
        )
        amounts.append(amount + 5)
    assert torch.equal(shifted[:, 0, 0], shifted[:, 0, 1])
    assert stats.chisquare(torch.bincount(torch.tensor(amounts), minlength=11)).pvalue > 1e-3


def test_time_shift_fills_with_what_it_is_told() -> None:
    frames = torch.ones(200, 1, 1, 10)
    shifted = time_shift(frames, 0.2, torch.arange(200), fill=-7.0)
    free = (shifted == -7).sum(dim=-1).flatten()
    assert set(free.tolist()) == {0, 1, 2}
    assert torch.equal(time_shift(frames, 0.0, torch.arange(200), fill=-7.0), frames)


def test_flip_crop_and_shift_of_one_key_are_independent() -> None:
    some = keys(0, 0, torch.arange(4000))
    images = index_images(4000, 5, 5)
    flipped = (flip(images, some)[:, 0, 0, 0] != 0).float()
    corner = random_crop(images, (2, 2), some)[:, 0, 0, 0]
    shifted = time_shift(images, 0.4, some, fill=0)[:, 0, 0, 2].float()
    area = crop_boxes(some, 100, 100, (0.08, 0.5), RATIO)[:, 2:].prod(dim=1).float()
    table = torch.stack([flipped, (corner // 1000).float(), (corner % 1000).float(), shifted, area])
    apart = torch.corrcoef(table)[~torch.eye(5, dtype=torch.bool)]
    assert float(apart.abs().max()) < 5 / 4000**0.5
