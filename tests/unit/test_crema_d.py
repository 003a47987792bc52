"""CREMA-D: its three protocols, and the broken files that the published set has."""

import numpy as np
import pytest
import soundfile

from pipelines.clips import leaks
from pipelines.datasets import crema_d
from pipelines.errors import DataError
from tests.unit.test_video import film

ACTORS, SENTENCES = range(1001, 1021), ("IEO", "TIE", "IOM", "IWW", "TAI", "MTI")
NAMES = [
    f"{actor}_{sentence}_{emotion}_XX"
    for actor in ACTORS
    for sentence in SENTENCES
    for emotion in crema_d.EMOTIONS
]


@pytest.fixture
def raw(tmp_path):
    for folder in ("AudioWAV", "VideoFlash", "crema-d-ogm-split"):
        (tmp_path / folder).mkdir()
    for name in NAMES:
        (tmp_path / "AudioWAV" / f"{name}.wav").touch()
        (tmp_path / "VideoFlash" / f"{name}.flv").touch()
    rows = [f"{name},{name.split('_')[2]}" for name in NAMES]
    lists = tmp_path / "crema-d-ogm-split"
    (lists / "train.csv").write_bytes("\r\n".join(rows[:-72]).encode())
    (lists / "test.csv").write_bytes("\n".join(rows[-72:]).encode() + b"\n")
    return tmp_path


def test_ogm_ge_takes_the_lists_as_they_are(raw):
    clips = crema_d.pairs(raw)
    assert {c.id for c in clips if c.split == "test"} == set(NAMES[-72:])
    assert sum(c.split == "validation" for c in clips) == pytest.approx(64.8, abs=6)
    clip = clips[0]
    assert clip.id == "1001_IEO_ANG_XX" and clip.label == 0 and clip.speaker == "1001"
    assert (clip.audio, clip.visual) == (f"AudioWAV/{clip.id}.wav", f"VideoFlash/{clip.id}.flv")


@pytest.mark.parametrize(
    ("protocol", "field"),
    [("speaker-independent", "speaker"), ("sentence-independent", "sentence")],
)
def test_no_speaker_or_sentence_is_on_two_sides(raw, protocol, field):
    clips = crema_d.pairs(raw, protocol=protocol)
    part = 0 if field == "speaker" else 1
    sides = [
        {c.id.split("_")[part] for c in clips if c.split == s}
        for s in ("train", "validation", "test")
    ]
    assert sum(map(len, sides)) == len(set.union(*sides)) == (20 if part == 0 else 6)
    assert all(sides)
    shared = leaks.audit(clips)["shared"]["speaker"]
    assert shared == (0 if field == "speaker" else sum(c.split == "test" for c in clips))


def test_a_clip_with_one_part_is_excluded(raw):
    (raw / "AudioWAV" / f"{NAMES[3]}.wav").unlink()
    (raw / "VideoFlash" / f"{NAMES[5]}.flv").unlink()
    excluded = {c.id: c.excluded for c in crema_d.pairs(raw) if c.excluded}
    assert excluded == {NAMES[3]: "has no sound", NAMES[5]: "has no video"}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("1001_IEO_ANG_XX,ANG", "not a clip of its own"),
        ("1001_IEO_ANG_XX,HAP", "not a clip"),
        ("hello,ANG", "not a clip"),
        ("a,b,c", "not a clip and its emotion"),
        ("1001", "not a clip"),
    ],
)
def test_a_wrong_list_is_named(raw, line, reason):
    path = raw / "crema-d-ogm-split" / "test.csv"
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(DataError, match=reason) as caught:
        crema_d.pairs(raw)
    assert str(path) in caught.value.message


def test_clips_in_no_list_are_counted(raw):
    path = raw / "crema-d-ogm-split" / "test.csv"
    path.write_text(path.read_text().replace(f"{NAMES[-1]},SAD\n", ""))
    with pytest.raises(DataError, match=f"1 clips are in neither.*{NAMES[-1]}"):
        crema_d.pairs(raw)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"x" * (crema_d.MAX_LIST_BYTES + 1)])
def test_a_list_that_is_none_is_one_line(raw, content):
    (raw / "crema-d-ogm-split" / "train.csv").write_bytes(content)
    with pytest.raises(DataError, match=r"train\.csv"):
        crema_d.pairs(raw)


def test_a_silent_sound_is_refused(tmp_path):
    for level in (0.0, 0.01):
        soundfile.write(tmp_path / f"{level}.wav", np.full(1600, level), 16000)
    assert crema_d.audio(tmp_path, "0.01.wav")[0].shape == (1, 1600)
    with pytest.raises(DataError, match="silent"):
        crema_d.audio(tmp_path, "0.0.wav")


def test_frames_are_looked_for_while_there_is_sound(tmp_path):
    """One published video runs on for a minute after its sound."""
    (tmp_path / "VideoFlash").mkdir()
    (tmp_path / "AudioWAV").mkdir()
    film(tmp_path / "VideoFlash" / "x.flv", codec="flv1", count=40)  # 1.6 s, level 6 i
    soundfile.write(tmp_path / "AudioWAV" / "x.wav", np.full(8000, 0.1), 16000)  # 0.5 s
    found = crema_d.video(tmp_path, "VideoFlash/x.flv", pick="middle", frames=1, pick_seed=0)
    assert abs(found.mean() / 6 - 6) < 1.5  # the middle of 12 or 13 frames, not of 40


def test_a_black_frame_is_refused(tmp_path):
    (tmp_path / "VideoFlash").mkdir()
    (tmp_path / "AudioWAV").mkdir()
    film(tmp_path / "VideoFlash" / "x.flv", codec="flv1", count=2)  # levels 0 and 6
    soundfile.write(tmp_path / "AudioWAV" / "x.wav", np.full(8000, 0.1), 16000)
    with pytest.raises(DataError, match="black"):
        crema_d.video(tmp_path, "VideoFlash/x.flv", pick="middle", frames=1, pick_seed=0)


@pytest.mark.parametrize(
    "name",
    [
        "1001_IEO_ANG_X",
        "1001_IEO_ang_XX",
        "11001_IEO_ANG_XX",
        "1001_IEO_ANG_XX (1)",
        "1001_IEO_ANG",
        "1001-IEO-ANG-XX",
    ],
)
@pytest.mark.parametrize("place", ["AudioWAV/{}.wav", "VideoFlash/{}.flv"])
def test_a_clip_of_another_name_is_not_left_out_in_silence(raw, name, place):
    (raw / place.format(name)).touch()
    with pytest.raises(DataError, match="not a name of the published layout"):
        crema_d.pairs(raw, protocol="speaker-independent")
