"""What the network gets of an image is what torchvision's transforms make of it."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from pipelines.cache.rows import Rows
from pipelines.clips.clips import read_clips
from pipelines.errors import RecipeError
from pipelines.features import image, video_frames
from pipelines.recipe import recipe as recipes
from pipelines.runs import prepare_stage
from pipelines.signal.counter_rng import keys
from pipelines.signal.crops import centre_crop, crop_boxes, flip
from pipelines.training.batches import in_order, loader, open_split
from pipelines.training.inputs import Inputs
from tests import published
from tests.e2e.test_resume import Quiet

MEAN, SD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
LEVEL = 1 / 255 / min(SD)  # of the network's input, for one of 256 levels
SHAPES = [(90, 121), (121, 90), (64, 64), (70, 200), (33, 44), (480, 360)]
RECIPE = """
version: 1
seed: 3
data: {dataset: folder, path: PATH, test_share: 0.5}
audio: {feature: stft, sample_rate: 8000, seconds: 0.1, n_fft: 64, hop: 32, size: [32, 32],
        normalise: none}
visual: {feature: image, size: [32, 32], fit: cover, margin: 16, crop: resized-antialiased,
         flip: true, normalise: imagenet}
model: {name: s-cmrl, width: 16, heads: 2, stages: 2}
train: {epochs: 1, batch_size: 16, optimizer: {lr: 1.0e-3}}
runtime: {device: cpu}
"""


def photo(height, width, seed=0):
    """A picture with large and small things in it: (H, W, 3) uint8."""
    coarse = np.random.default_rng(seed).integers(0, 256, (7, 9, 3), np.uint8)
    large = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    grain = np.random.default_rng(seed + 1).integers(-30, 31, (height, width, 3))
    return np.clip(np.asarray(large).astype(int) + grain, 0, 255).astype(np.uint8)


def batched(picture):
    return torch.from_numpy(picture).movedim(-1, 0)[None]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Inputs of a folder of images of many shapes, and where the folder is."""
    folder = tmp_path_factory.mktemp("data")
    for label, name in enumerate(("dog", "owl")):
        (folder / name).mkdir()
        for i in range(24):
            number = 24 * label + i
            picture = photo(*SHAPES[i % len(SHAPES)], seed=2 * number)
            Image.fromarray(picture).save(folder / name / f"{i}.png")
            published.wav(folder / name / f"{i}.wav", seed=number)
    own = tmp_path_factory.mktemp("recipe") / "own.yaml"
    own.write_text(RECIPE.replace("PATH", str(folder)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AVSNN_HOME", str(tmp_path_factory.mktemp("home")))
        recipe = recipes.load_recipe(own)
        plan = prepare_stage.prepare(recipe, Quiet())
        yield recipe, plan, Inputs(recipe, plan, torch.device("cpu")), folder


def only_batch(prepared, name):
    recipe, plan, _, _ = prepared
    split = open_split(plan, read_clips(plan.clips), name)
    (batch,) = loader(split, recipe, torch.device("cpu"))(in_order(len(split), 100))
    return split, batch


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("margin", [16, (16, 16), (16, 20)], ids=str)
def test_the_middle_of_a_covering_image_is_torchvisions_resize_and_centre_crop(shape, margin):
    height, width = shape
    if margin == (16, 20):  # rows of 64 x 72: the shorter side is 64 where the image is as wide
        width = max(width, -(-height * 72 // 64))
    pixels = batched(photo(height, width))
    found = image.extract(pixels, size=(32, 32), margin=margin, fit="cover")
    assert found.shape == (1, 3, 64, 72 if margin == (16, 20) else 64)
    whole = v2.functional.resize(pixels.float(), [64], antialias=True)
    expected = v2.functional.center_crop(whole, [32, 32])
    # rows are whole levels
    assert (centre_crop(found, (32, 32)) - expected).abs().max() <= 0.5 + 1e-3


def test_frames_of_a_video_are_fit_as_an_image_is():
    pixels = batched(photo(360, 480))
    settings = {"size": (128, 128), "margin": (64, 106), "fit": "cover"}
    still = image.extract(pixels, **settings)
    film = video_frames.extract(pixels[:, None], **settings)
    assert still.shape == (1, 3, 256, 340)
    assert torch.equal(still, film)
    whole = v2.functional.resize(pixels.float(), [256], antialias=True)
    assert whole.shape[-2:] == (256, 341)
    assert (still - whole[..., :340]).abs().max() <= 0.5 + 1e-3


def test_stretched_images_are_resized_whole():
    pixels = batched(photo(90, 121))
    found = image.extract(pixels, size=(32, 40), margin=(3, 4))
    expected = v2.functional.resize(pixels.float(), [38, 48], antialias=True)
    assert (found - expected).abs().max() <= 0.5 + 1e-3


def test_an_image_is_tested_as_torchvisions_transforms_have_it(prepared):
    *_, inputs, folder = prepared
    split, batch = only_batch(prepared, "test")
    audio, visual = inputs.for_evaluation(batch)
    theirs = v2.Compose(
        [
            v2.Resize(64),
            v2.CenterCrop(32),
            v2.PILToTensor(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(MEAN, SD),
        ]
    )
    expected = torch.stack([theirs(Image.open(folder / clip.visual)) for clip in split.clips])
    assert len({Image.open(folder / clip.visual).size for clip in split.clips}) == len(SHAPES)
    # Pillow rounds to levels between rows and columns too
    assert (visual - expected).abs().max() <= 1.01 * LEVEL
    assert torch.equal(audio, batch.audio.float())  # as cached: the logarithm of the amplitude


def test_an_image_is_trained_on_as_torchvisions_transforms_have_it_for_the_same_box(prepared):
    recipe, _, inputs, _ = prepared
    split, batch = only_batch(prepared, "train")
    with Rows(split.caches["visual"].path) as rows:
        stored = torch.from_numpy(rows.read(split.rows["visual"].tolist()))
    seen = []
    for epoch in (0, 7):
        drawn = keys(recipe.seed, epoch, batch.numbers)
        boxes = crop_boxes(drawn, 64, 64, (0.08, 1.0), (3 / 4, 4 / 3)).tolist()
        crops = [
            v2.functional.resized_crop(row.float(), *box, size=[32, 32], antialias=True)
            for row, box in zip(stored, boxes, strict=True)
        ]
        mirrored = flip(torch.arange(2.0).expand(len(drawn), 1, 1, 2), drawn)[:, 0, 0, 0] == 1
        expected = torch.stack(
            [
                v2.functional.normalize(
                    (v2.functional.horizontal_flip(crop) if turn else crop) / 255, MEAN, SD
                )
                for crop, turn in zip(crops, mirrored.tolist(), strict=True)
            ]
        )
        assert 0 < mirrored.sum() < len(mirrored) and len(set(map(tuple, boxes))) == len(boxes)
        _, visual = inputs.for_training(batch, epoch)
        torch.testing.assert_close(visual, expected, rtol=0, atol=1e-4)
        seen.append(visual)
    assert not torch.equal(*seen)


def test_noise_is_put_on_levels_before_they_are_normalised(prepared):
    *_, inputs, _ = prepared
    _, batch = only_batch(prepared, "test")
    heard = []

    def noise(levels):
        heard.append(levels)
        return levels + 51.0

    _, visual = inputs.for_evaluation(batch, noise)
    assert torch.equal(heard[0], centre_crop(batch.visual, (32, 32)).float())
    _, clean = inputs.for_evaluation(batch)
    expected = clean + 0.2 / torch.tensor(SD)[:, None, None]
    torch.testing.assert_close(visual, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "settings",
    ["visual.channels=1", "visual={feature: event_frames, normalise: imagenet, time_steps: 4}"],
)
def test_imagenets_scale_of_anything_but_colour_images_is_refused(prepared, settings):
    recipe, *_ = prepared
    with pytest.raises(RecipeError, match=r"visual\.normalise: imagenet is for images of 3"):
        recipes.load_recipe(recipe.path, (settings,))
