"""spoken-digits-av from the real files: MNIST and all 3,000 recordings of FSDD."""

from collections import Counter

import numpy as np
import pytest
import soundfile

from pipelines.clips.leaks import audit
from pipelines.datasets import spoken_digits_av
from pipelines.download import acquire, manifest


@pytest.fixture(scope="module")
def raw(mirror, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AVSNN_HOME", str(tmp_path_factory.mktemp("home")))
        found = manifest.load_manifest("spoken-digits-av")
        folder = acquire.acquire(found, mirror=mirror, say=str)
        assert acquire.check(found) == []
        yield folder


def test_counts_and_splits_are_the_published_ones(raw):
    clips = spoken_digits_av.pairs(raw)
    # 300 official test recordings x 10 images; 2,700 others, a tenth of them for validation, x 4
    assert Counter(clip.split for clip in clips) == {
        "train": 9720,
        "validation": 1080,
        "test": 3000,
    }
    assert set(audit(clips)["shared"].items()) >= {("audio", 0), ("visual", 0), ("group", 0)}
    test = [clip for clip in clips if clip.split == "test"]
    assert len({clip.audio for clip in test}) == 300
    assert len({clip.visual for clip in test}) == 3000
    assert all(int(clip.group.split("_")[2]) < 5 for clip in test)
    assert all(clip.visual.startswith("test-") for clip in test)
    assert Counter(clip.label for clip in test) == dict.fromkeys(range(10), 300)


def test_a_held_out_speaker_is_only_in_validation_and_test(raw):
    clips = spoken_digits_av.pairs(raw, protocol="held-out-speaker", validation_speaker="lucas")
    speakers = {
        split: {clip.group.split("_")[1] for clip in clips if clip.split == split}
        for split in ("train", "validation")
    }
    assert speakers["validation"] == {"lucas"}
    assert len(speakers["train"]) == 5 and "lucas" not in speakers["train"]


def test_labels_are_mnists_own_and_recordings_are_8_khz(raw):
    labels = spoken_digits_av._labels(raw, "train")
    # MNIST's published class counts of the training part
    assert np.bincount(labels).tolist() == [
        5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949,
    ]  # fmt: skip
    for clip in spoken_digits_av.pairs(raw)[:9720:500]:
        part, number = clip.visual.split("-")
        assert spoken_digits_av._labels(raw, part)[int(number)] == clip.label
        waveform, rate = spoken_digits_av.audio(raw, clip.audio)
        expected, _ = soundfile.read(raw / clip.audio, dtype="float32")
        assert rate == 8000
        np.testing.assert_allclose(waveform[0], expected, atol=1e-4)


def test_images_stand_upright(raw):
    """The published first training image is a 5 whose ink starts in row 5, column 12."""
    first = spoken_digits_av.image(raw, "train-0")[..., 0]
    assert spoken_digits_av._labels(raw, "train")[0] == 5
    rows, columns = np.nonzero(first)
    assert first.shape == (28, 28)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (5, 24, 4, 23)
