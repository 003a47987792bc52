"""Clips of which nothing is left to learn are counted and named, whatever made them so."""

import json

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from pipelines.cache.build import _varied
from pipelines.cache.source_reader import Decoded, Reading, Refused, decode
from tests import published
from tests.cli.conftest import in_process

RATE_HZ = 16000


def decoded(folder, name, reads="waveform", seconds=0.5):
    return decode(Reading("folder", folder, reads, seconds, {}), name)


def tone(seconds=0.5):
    return 0.3 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * RATE_HZ)) / RATE_HZ)


@pytest.mark.parametrize("rest", [0.0, 1e-5], ids=["exact", "rounded"])
def test_channels_that_cancel_each_other_out_are_refused_by_name(tmp_path, rest):
    noise = rest * np.random.default_rng(0).normal(size=8000)
    soundfile.write(tmp_path / "a.wav", np.stack([tone(), noise - tone()], 1), RATE_HZ)
    found = decoded(tmp_path, "a.wav")
    assert isinstance(found, Refused)
    assert "a.wav" in found.reason and "2 channels cancel each other out" in found.reason
    both = decoded(tmp_path, "a.wav", "microphones")
    assert isinstance(both, Decoded) and both.data.shape == (2, 8000)


def test_stereo_that_is_mixed_as_ever_keeps_its_mean(tmp_path):
    left, right = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 8000)).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", np.stack([left, right], 1), RATE_HZ, subtype="FLOAT")
    found = decoded(tmp_path, "a.wav")
    assert isinstance(found, Decoded)
    np.testing.assert_allclose(found.data, (left + right) / 2, atol=1e-7)


@pytest.mark.parametrize("value", [0.0, 0.25], ids=["zero", "offset"])
def test_a_sound_that_is_silent_in_the_time_that_is_used_is_refused(tmp_path, value):
    samples = np.full(RATE_HZ, value)
    samples[9000:] = tone()[:7000]
    soundfile.write(tmp_path / "a.wav", samples, RATE_HZ)
    found = decoded(tmp_path, "a.wav", seconds=0.5)
    assert isinstance(found, Refused) and "silent in all of the 8000 samples" in found.reason
    assert isinstance(decoded(tmp_path, "a.wav", seconds=0.6), Decoded)


@pytest.mark.parametrize("colour", [(0, 0, 0), (200, 30, 30)])
def test_a_picture_of_one_colour_is_refused_by_name(tmp_path, colour):
    Image.new("RGB", (30, 20), colour).save(tmp_path / "a.png")
    found = decoded(tmp_path, "a.png", "image")
    assert isinstance(found, Refused) and "a.png: nothing but one colour" in found.reason


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float16])
@pytest.mark.parametrize("shape", [(3, 1, 8, 5), (3, 4, 2, 8, 5)], ids=["image", "frames"])
def test_a_row_whose_channels_never_change_is_found(dtype, shape):
    rows = torch.zeros(shape, dtype=dtype)
    rows[1, ..., 0, :, :] = 7
    rows[2, ..., 0, 3, 2] = 1
    assert _varied(rows).tolist() == [False, False, True]
    assert _varied(torch.zeros(2, 3, 1, 1)).all()  # nothing in it could change


def test_prepare_counts_and_names_what_the_feature_leaves_constant(tmp_path):
    own = tmp_path / "mine"
    published.class_pairs(own, ("audio", "vision"), ("dog", "rain"), 60)
    picture = own / "vision" / "rain" / "104-1.png"
    # one pixel differs by a level: not of one colour, until it is made smaller
    levels = np.full((200, 200, 3), 90, np.uint8)
    levels[50, 50] = 91
    Image.fromarray(levels).save(picture)
    settings = [
        "audio.sample_rate=8000",
        "audio.seconds=0.1",
        "audio.n_fft=128",
        "audio.hop=64",
        "audio.size=null",
        "visual.size=[12, 12]",
        "visual.margin=0",
        "visual.crop=none",
        f"data.path={own}",
    ]
    chosen = [word for setting in settings for word in ("--set", setting)]
    said = in_process(tmp_path / "home", "prepare", "folder/s_cmrl", *chosen, "--json")
    assert said.code == 0, said.err
    assert "left out: 1 of 120" in said.err and "104-1.png" in said.err
    (receipt,) = (tmp_path / "home").glob("cache/folder/image-*/receipt.json")
    excluded = json.loads(receipt.read_text())["excluded"]
    assert excluded == {"vision/rain/104-1.png": "its feature has one value everywhere"}
