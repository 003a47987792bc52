"""The event data sets in their published layouts: pairs, protocols, and what is wrong with them."""

import re
import shutil
from collections import Counter
from functools import partial

import numpy as np
import pytest

from pipelines.clips import leaks
from pipelines.datasets import (
    _fsdd,
    digits_events,
    mnistdvs_ntidigits,
    n_mnist_spoken,
    n_mnist_spoken_small,
    spoken_digits_av,
)
from pipelines.errors import DataError
from tests import published


@pytest.fixture(scope="module")
def dvs_original(tmp_path_factory):
    raw = tmp_path_factory.mktemp("dvs")
    published.mnist_dvs(raw, each=10)
    published.mnist_dvs(raw, scale=16, each=4)
    published.ntidigits(raw / mnistdvs_ntidigits.COCHLEA)
    return raw


@pytest.fixture
def dvs(dvs_original, tmp_path):
    shutil.copytree(dvs_original, tmp_path / "dvs")
    return tmp_path / "dvs"


def test_the_papers_pairs_are_half_for_test_and_reuse_audio(dvs_original):
    clips = mnistdvs_ntidigits.pairs(dvs_original)
    assert Counter((c.label, c.split == "test") for c in clips) == {
        (label, side): 5 for label in range(10) for side in (True, False)
    }
    # ten recordings of events a digit, eight of audio: each is used, two of them twice
    for label in range(10):
        used = Counter(c.audio for c in clips if c.label == label)
        assert sorted(used.values()) == [1] * 6 + [2] * 2
    assert leaks.audit(clips)["shared"]["audio"] > 0
    assert leaks.audit(clips)["shared"]["visual"] == 0


def test_disjoint_shares_nothing_and_no_speaker(dvs_original):
    clips = mnistdvs_ntidigits.pairs(dvs_original, protocol="disjoint")
    assert not any(leaks.audit(clips)["shared"].values())
    assert {c.audio.split("/")[0] for c in clips if c.split == "test"} == {"test"}
    assert {c.audio.split("/")[0] for c in clips if c.split != "test"} == {"train"}


@pytest.mark.parametrize(("zero", "words"), [("z", {"z"}), ("o", {"o"}), ("both", {"z", "o"})])
def test_the_word_for_zero_is_the_one_asked_for(dvs_original, zero, words):
    clips = mnistdvs_ntidigits.pairs(dvs_original, zero=zero)
    assert {c.audio[-1] for c in clips if c.label == 0} == words
    # only single digits: a sequence that ends in a digit is none
    assert {c.audio.rsplit("-", 1)[1] for c in clips if c.label} == set("123456789")
    assert all(c.label == int(c.audio[-1]) for c in clips if c.label)


def test_a_scale_is_a_folder_of_its_own(dvs_original):
    clips = mnistdvs_ntidigits.pairs(dvs_original, scale=16)
    assert len(clips) == 40 and all("/scale16/" in clip.visual for clip in clips)
    with pytest.raises(DataError, match="scale8: no recordings"):
        mnistdvs_ntidigits.pairs(dvs_original, scale=8)


def test_events_and_spikes_can_be_read_by_their_names(dvs_original):
    clip = mnistdvs_ntidigits.pairs(dvs_original, orientation="dat2mat")[0]
    assert clip.visual.startswith("dat2mat/grabbed_data")
    seen = mnistdvs_ntidigits.events(dvs_original, clip.visual)
    raw = mnistdvs_ntidigits.events(dvs_original, clip.visual.replace("dat2mat/", "raw/"))
    assert np.array_equal(seen.x, 127 - raw.x) and seen.height == 128
    assert len(mnistdvs_ntidigits.spikes(dvs_original, clip.audio).t_us) == 120


def test_a_strange_name_or_a_digit_without_audio_is_one_line(dvs):
    strange = dvs / "grabbed_data3/scale4/mnist_4_scale04_0001.aedat"
    strange.write_bytes(b"")
    with pytest.raises(DataError, match="not a name of the published layout"):
        mnistdvs_ntidigits.pairs(dvs)
    strange.unlink()
    shutil.rmtree(dvs / "grabbed_data7")
    with pytest.raises(DataError, match="grabbed_data7"):
        mnistdvs_ntidigits.pairs(dvs)


# ---- N-MNIST x FSDD ----


@pytest.fixture(scope="module")
def spoken_original(tmp_path_factory):
    raw = tmp_path_factory.mktemp("n-mnist")
    published.n_mnist(raw, each=10)
    published.fsdd(raw / "fsdd/recordings")
    return raw


@pytest.fixture
def spoken(spoken_original, tmp_path):
    shutil.copytree(spoken_original, tmp_path / "spoken")
    return tmp_path / "spoken"


def test_pairs_stay_in_the_official_parts(spoken_original):
    clips = n_mnist_spoken.pairs(spoken_original)
    assert Counter(clip.split for clip in clips) == {"test": 100, "validation": 10, "train": 90}
    for clip in clips:
        assert (clip.split == "test") == ("/Test/" in clip.visual)
        index = int(clip.audio.rsplit("_")[-1].removesuffix(".wav"))
        assert (clip.split == "test") == (index < 5)
        assert f"/{clip.label}/" in clip.visual
        assert clip.audio.startswith(f"fsdd/recordings/{clip.label}_")
    shared = leaks.audit(clips)["shared"]
    assert shared["audio"] == shared["visual"] == 0
    assert shared["speaker"] == 100  # FSDD's speakers are in both parts


def test_a_folder_too_many_or_an_empty_one_is_one_line(spoken):
    (spoken / "n-mnist/Train/ten").mkdir()
    with pytest.raises(DataError, match="ten"):
        n_mnist_spoken.pairs(spoken)
    (spoken / "n-mnist/Train/ten").rmdir()
    for path in (spoken / "n-mnist/Test/4").iterdir():
        path.unlink()
    with pytest.raises(DataError, match=r"Test/4 holds no \.bin files"):
        n_mnist_spoken.pairs(spoken)


def test_a_digit_that_nobody_says_is_one_line(spoken):
    for path in (spoken / "fsdd/recordings").glob("8_*_[0-4].wav"):
        path.unlink()
    with pytest.raises(DataError, match="no recording of 8 for the test split"):
        n_mnist_spoken.pairs(spoken)


@pytest.fixture
def small(spoken):
    folder = spoken / n_mnist_spoken_small.FOLDER
    folder.mkdir()
    lists = {"train": ["#sample #class"], "test": ["#sample #class"]}
    for number in range(1, 61):
        published.nmnist(folder / f"{number}.bs2", *published.random_events(number, 34))
        lists["test" if number > 50 else "train"].append(f"{number}\t{number % 10}")
    (folder / "train1K.txt").write_text("\n".join(lists["train"]) + "\n")
    (folder / "test100.txt").write_text("\n".join(lists["test"]) + "\n")
    return spoken


def test_the_small_sample_follows_its_lists(small):
    clips = n_mnist_spoken_small.pairs(small)
    assert Counter(clip.split == "test" for clip in clips) == {True: 10, False: 50}
    for clip in clips:
        assert int(clip.visual.split("/")[1].removesuffix(".bs2")) % 10 == clip.label


@pytest.mark.parametrize(
    ("name", "line", "reason"),
    [
        ("train1K.txt", "1\t1", "names no new recording"),
        ("test100.txt", "3\t3", "in both lists"),
        ("train1K.txt", "900\t1", "no such file, but it is listed"),
        ("train1K.txt", "x\t1", "names no new recording"),
        ("train1K.txt", "../1\t1", "names no new recording"),
        ("test100.txt", "70\t10", "names no new recording"),
    ],
)
def test_a_wrong_line_of_a_list_is_named(small, name, line, reason):
    path = small / n_mnist_spoken_small.FOLDER / name
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(DataError, match=reason):
        n_mnist_spoken_small.pairs(small)


# ---- the offline twin ----


def test_the_twin_moves_the_real_digits_and_hears_the_tones(tmp_path):
    clips = digits_events.pairs(tmp_path)
    assert len(clips) == 1797 and not leaks.audit(clips)["shared"]["visual"]
    seen = [digits_events.events(tmp_path, clip.visual) for clip in clips[:5]]
    for events in seen:
        assert (events.height, events.width) == (32, 32)
        assert len(events.t_us) > 200 and 0 < events.p.mean() < 1
        assert events.t_us[-1] <= 300_000
    heard = digits_events.spikes(tmp_path, clips[0].audio)
    assert len(heard.t_us) > 50
    again = digits_events.events(tmp_path, clips[0].visual)
    assert np.array_equal(seen[0].t_us, again.t_us)


@pytest.mark.parametrize(
    "name",
    [
        "3_theo_05",
        "3_theo_100",
        "10_theo_5",
        "3_Theo_5",
        "3_theo_5 (1)",
        "three_theo_5",
        "3__5",
        "-3_theo_5",
    ],
)
def test_a_spoken_digit_of_another_name_is_neither_guessed_nor_left_out(tmp_path, name):
    """3_theo_05.wav was read as 3_theo_5.wav: one recording stood in for two."""
    published.fsdd(tmp_path / "fsdd/recordings")
    assert len(_fsdd.recordings(tmp_path)) == 180
    published.wav(tmp_path / "fsdd/recordings" / f"{name}.wav")
    for pairs in (spoken_digits_av.pairs, partial(n_mnist_spoken.paired, {}, seed=0)):
        with pytest.raises(DataError, match=re.escape(f"{name}.wav': not a name of the publ")):
            pairs(raw=tmp_path)


def test_hidden_files_are_no_recordings(tmp_path):
    published.fsdd(tmp_path / "fsdd/recordings")
    (tmp_path / "fsdd/recordings/._3_theo_5.wav").touch()
    assert len(_fsdd.recordings(tmp_path)) == 180
