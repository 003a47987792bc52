"""CIFAR-10 with sound in its two forms: pairing, protocols, and what is wrong with the files."""

from collections import Counter, defaultdict

import numpy as np
import pytest

from pipelines.clips import leaks
from pipelines.datasets import cifar10_av, cifar10_sounds
from pipelines.datasets._cifar10 import CLASSES
from pipelines.errors import DataError
from tests import published

ROWS = 30


@pytest.fixture(params=cifar10_av.LAYOUTS, ids="-".join)
def av(request, tmp_path):
    published.class_pairs(tmp_path / cifar10_av.FOLDER, request.param, CLASSES, 30)
    return tmp_path


def test_pairs_share_a_stem_and_a_sixth_of_each_class_is_for_test(av):
    clips = cifar10_av.pairs(av, protocol="paper")
    assert len(clips) == 300 and not any(clip.excluded for clip in clips)
    assert Counter((c.label, c.split) for c in clips if c.split == "test") == {
        (label, "test"): 5 for label in range(10)
    }
    for clip in clips:
        assert clip.audio.split("/")[-2:] == [CLASSES[clip.label], f"{clip.id.split('/')[1]}.wav"]
        assert clip.visual.split("/")[-2:] == [CLASSES[clip.label], f"{clip.id.split('/')[1]}.png"]


def test_grouped_shares_no_recording_and_paper_does(av):
    assert leaks.audit(cifar10_av.pairs(av))["shared"]["group"] == 0
    paper = leaks.audit(cifar10_av.pairs(av, protocol="paper"))
    assert paper["shared"]["group"] > 0.5 * paper["test"]


def test_what_makes_no_pair_is_excluded(av):
    sound = next((av / cifar10_av.FOLDER).glob("*/cat/300-0.wav"))
    sound.unlink()
    (bad,) = (clip for clip in cifar10_av.pairs(av) if clip.excluded)
    assert (bad.id, bad.excluded) == ("cat/300-0", "has 0 sounds and 1 images of its name")


def test_a_class_folder_too_many_is_one_line(av):
    next((av / cifar10_av.FOLDER).glob("*/cat")).with_name("lynx").mkdir()
    with pytest.raises(DataError, match="lynx"):
        cifar10_av.pairs(av)


@pytest.fixture
def binary(tmp_path, monkeypatch):
    monkeypatch.setattr(cifar10_sounds, "BATCH_ROWS", ROWS)
    published.cifar10_binary(tmp_path / cifar10_sounds.BINARY, ROWS)
    return tmp_path


@pytest.fixture
def sounds(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sounds")
    for label, name in enumerate(CLASSES):
        for i in range(12):
            published.wav(folder / name / f"{100 * label + i}-{i % 2}.wav", seed=100 * label + i)
    return folder


def test_images_are_those_of_the_published_rows(binary, sounds):
    """A row is a label, then 1,024 levels of red, of green and of blue, row by row."""
    clips = cifar10_sounds.pairs(binary, audio_folder=str(sounds))
    assert len(clips) == 6 * ROWS
    for clip in clips:
        batch, number = clip.visual.split("/")[1].split("#")
        row = np.fromfile(binary / cifar10_sounds.BINARY / batch, np.uint8).reshape(ROWS, 3073)
        levels = row[int(number)]
        assert clip.label == levels[0]
        found = cifar10_sounds.image(binary, clip.visual)
        assert found.shape == (32, 32, 3)
        assert found[1, 2].tolist() == [levels[1 + 1024 * c + 32 + 2] for c in range(3)]
        assert (clip.split == "test") == (batch == "test_batch.bin")


def test_sounds_are_taken_in_turn_and_by_class(binary, sounds):
    clips = cifar10_sounds.pairs(binary, audio_folder=str(sounds), protocol="paper")
    used = defaultdict(Counter)
    for clip in clips:
        assert clip.audio.startswith(f"{sounds}/{CLASSES[clip.label]}/")
        used[clip.label, clip.split][clip.audio] += 1
    assert all(max(c.values()) - min(c.values()) <= 1 for c in used.values())
    assert leaks.audit(clips)["shared"]["audio"] > 0


def test_grouped_puts_no_recording_on_two_sides(binary, sounds):
    clips = cifar10_sounds.pairs(binary, audio_folder=str(sounds))
    assert not any(leaks.audit(clips)["shared"].values())


@pytest.mark.parametrize("damage", ["short", "long", "label", "gone"])
def test_a_damaged_batch_is_named(binary, sounds, damage):
    path = binary / cifar10_sounds.BINARY / "data_batch_3.bin"
    content = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(
            {"short": content[:-1], "long": content + b"\0", "label": b"\x0a" + content[1:]}[damage]
        )
    cifar10_sounds._batch.cache_clear()
    with pytest.raises(DataError, match=r"data_batch_3\.bin"):
        cifar10_sounds.pairs(binary, audio_folder=str(sounds))


def test_without_sounds_it_says_what_to_set(binary, tmp_path):
    for folder in (None, str(tmp_path / "nothing")):
        with pytest.raises(DataError) as caught:
            cifar10_sounds.pairs(binary, audio_folder=folder)
        assert "data.audio_folder" in caught.value.hint
