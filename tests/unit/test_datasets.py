"""The data sets against their standards and published layouts."""

import gzip
import hashlib
import json
from collections import Counter

import numpy as np
import pytest
import soundfile

from pipelines.clips import leaks
from pipelines.clips.clips import SPLITS, Clip, read_clips, write_clips
from pipelines.datasets import digits_av, spoken_digits_av
from pipelines.errors import DataError

# ITU-T Q.23: the keypad's rows and columns, in Hz
KEYPAD = {
    "1": (697, 1209), "2": (697, 1336), "3": (697, 1477),
    "4": (770, 1209), "5": (770, 1336), "6": (770, 1477),
    "7": (852, 1209), "8": (852, 1336), "9": (852, 1477), "0": (941, 1336),
}  # fmt: skip


def digest(clips):
    said = ("id", "split", "label", "group", "audio", "visual")
    rows = [{name: getattr(clip, name) for name in said} for clip in clips]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:12]


def test_digits_av_is_the_1797_digits_split_by_class(tmp_path):
    clips = digits_av.pairs(tmp_path)
    assert len(clips) == 1797
    assert not any(leaks.audit(clips)["shared"].values())
    for digit, count in Counter(clip.label for clip in clips).items():
        share = Counter(clip.split for clip in clips if clip.label == digit)
        assert share["train"] == round(0.7 * count)
        assert share["train"] + share["validation"] == round(0.85 * count)


def test_a_seed_gives_the_same_split_everywhere(tmp_path):
    assert digest(digits_av.pairs(tmp_path)) == "309aac88830b"
    assert digest(digits_av.pairs(tmp_path, seed=1)) != "309aac88830b"


def tones(tmp_path, count=60):
    for clip in digits_av.pairs(tmp_path)[:count]:
        waveform, rate = digits_av.audio(tmp_path, clip.audio)
        assert rate == 8000 and waveform.dtype == np.float32
        yield clip, waveform[0]


def test_tones_are_the_keypads_within_tolerance(tmp_path):
    for clip, tone in tones(tmp_path):
        spectrum = np.abs(np.fft.rfft(tone * np.hanning(len(tone)), 1 << 16))
        hz = np.fft.rfftfreq(1 << 16, 1 / 8000)
        for nominal, (below, above) in zip(
            KEYPAD[str(clip.label)], ((600, 1050), (1100, 1600)), strict=True
        ):
            band = (hz > below) & (hz < above)
            found = hz[band][spectrum[band].argmax()]
            # 1.5 % is the standard's, the rest a short tone's uncertainty
            assert abs(found / nominal - 1) < 0.02, clip


def test_tones_keep_within_full_scale_length_and_level(tmp_path):
    for _, tone in tones(tmp_path):
        active = np.flatnonzero(tone)
        assert 0.03 <= (active[-1] - active[0]) / 8000 <= 0.31
        assert 10 ** (-25 / 20) < np.abs(tone).max() <= 10 ** (-5 / 20)


def test_a_tone_is_a_function_of_its_name(tmp_path):
    a, b = (digits_av.audio(tmp_path, "tone-5-0-0007")[0] for _ in range(2))
    assert np.array_equal(a, b)
    assert not np.array_equal(a, digits_av.audio(tmp_path, "tone-5-0-0008")[0])


def write_idx(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    header = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    with gzip.open(path, "wb") as file:
        file.write(header + array.astype(np.uint8).tobytes())


@pytest.fixture
def raw(tmp_path):
    """The published layout in small: 2 speakers x 10 digits x index 0-19, 600 + 300 images."""
    folder = tmp_path / "fsdd" / "recordings"
    folder.mkdir(parents=True)
    for digit in range(10):
        for speaker in ("ada", "bob"):
            for index in range(20):
                name = folder / f"{digit}_{speaker}_{index}.wav"
                soundfile.write(name, np.full(800, digit / 20, np.float32), 8000)
    for part, count in (("train", 600), ("test", 300)):
        labels = np.arange(count) % 10
        images = np.zeros((count, 28, 28), np.uint8) + labels[:, None, None].astype(np.uint8)
        write_idx(tmp_path / spoken_digits_av.LABELS[part], labels)
        write_idx(tmp_path / spoken_digits_av.IMAGES[part], images)
    return tmp_path


def pairs(raw, **settings):
    defaults = {"images_per_recording": 2, "test_images_per_recording": 2}
    return spoken_digits_av.pairs(raw, **{**defaults, **settings})


def test_spoken_digits_split_before_they_pair(raw):
    clips = pairs(raw)
    assert {clip.split for clip in clips} == set(SPLITS)
    assert not any(leaks.audit(clips)["shared"].values())
    for clip in clips:
        digit, _, index = clip.group.split("_")
        assert clip.label == int(digit)
        assert (clip.split == "test") == (int(index) < 5)
        assert clip.visual.startswith("test-" if clip.split == "test" else "train-")
        assert spoken_digits_av.image(raw, clip.visual).max() == clip.label


def test_a_held_out_speaker_is_all_of_validation(raw):
    clips = pairs(raw, protocol="held-out-speaker", validation_speaker="bob")
    by_split = {s: {c.group.split("_")[1] for c in clips if c.split == s} for s in SPLITS}
    assert by_split == {"train": {"ada"}, "validation": {"bob"}, "test": {"ada", "bob"}}


def test_pairs_do_not_depend_on_the_order_of_the_directory(raw):
    before = digest(pairs(raw))
    folder = raw / "fsdd" / "recordings"
    names = sorted(path.name for path in folder.iterdir())
    for name in reversed(names):
        (folder / name).rename(folder / f"{name}.tmp")
    for name in reversed(names):
        (folder / f"{name}.tmp").rename(folder / name)
    assert digest(pairs(raw)) == before
    assert digest(pairs(raw, seed=1)) != before


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"protocol": "held-out-speaker", "validation_speaker": "eve"}, "no speaker 'eve'"),
        ({"images_per_recording": 20}, "too few images"),
    ],
)
def test_settings_that_do_not_fit_are_named(raw, settings, message):
    with pytest.raises(DataError, match=message):
        pairs(raw, **settings)


@pytest.mark.parametrize("damage", ["truncated", "not gzip", "wrong header", "short", "missing"])
def test_a_damaged_idx_file_is_a_named_error(raw, damage):
    path = raw / spoken_digits_av.LABELS["train"]
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    elif damage == "short":
        path.write_bytes(gzip.compress(bytes([0, 0, 8, 1, 0, 0, 0, 9]) + b"123"))
    else:
        wrong = {"truncated": content[:-20], "not gzip": b"hello", "wrong header": None}[damage]
        path.write_bytes(gzip.compress(b"\0\0\x0d\1" + bytes(8)) if wrong is None else wrong)
    spoken_digits_av._idx.cache_clear()
    with pytest.raises(DataError, match="train-labels"):
        pairs(raw)


def test_no_recordings_say_how_to_get_them(tmp_path):
    with pytest.raises(DataError, match="no recordings") as caught:
        pairs(tmp_path)
    assert "avsnn download" in caught.value.hint


def test_a_manifest_reads_back_and_names_a_bad_line(tmp_path):
    clips = [Clip("a", "train", 1, "g", "x.wav", "y"), Clip("b", "test", 0, "h", "z.wav", "w")]
    path = tmp_path / "m.jsonl"
    write_clips(path, clips)
    assert read_clips(path) == clips
    path.write_text(path.read_text() + '{"id": "c", "split": "dev"}\n')
    with pytest.raises(DataError, match=r"m\.jsonl:3: not a clip"):
        read_clips(path)


def test_an_excluded_clip_stays_in_the_manifest_and_is_not_read(tmp_path):
    bad = Clip("b", "test", 0, "g", "x", "2", excluded="y")
    clips = [Clip("a", "train", 0, "g", "x", "1"), bad]
    write_clips(tmp_path / "m.jsonl", clips)
    assert '"excluded": "y"' in (tmp_path / "m.jsonl").read_text()
    assert read_clips(tmp_path / "m.jsonl") == clips[:1]
