"""sloclas on files in its published layout, and on damaged ones."""

import csv
import itertools
import json
from collections import Counter

import numpy as np
import pytest
import soundfile

from pipelines.clips import leaks
from pipelines.datasets import sloclas
from pipelines.datasets._sloclas_names import described
from pipelines.errors import DataError
from tests.published import by_split, four_channels


def endless(path):
    """A FLAC file, by its content, whose header claims the longest recording there can be."""
    with path.open("wb") as file:
        soundfile.write(file, np.zeros((480, 4), np.int16), 48_000, format="FLAC")
    content = bytearray(path.read_bytes())
    content[21] |= 0x0F
    content[22:26] = b"\xff" * 4
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("Bells/doa_045/seg_0007.wav", ("bells", 45)),
        ("DoA360/bottle_12.wav", ("bottles", 0)),
        ("particle_135deg.wav", ("particle", 135)),
        ("270/whistle3.wav", ("whistle", 270)),
        ("ring/91.wav", ("ring", 91)),
        ("SLoClas/cymbal_azimuth=5_take2.WAV", ("cymbals", 5)),
        ("PhoneAngle30/x.wav", ("phone", 30)),
        ("bells/metal_010.wav", ("metal", 10)),
        ("bells_045_003.wav", None),
        ("bells/take1_2.wav", ("bells", 2)),
        ("bells_doa_400.wav", None),
        ("horn_phone_doa10.wav", None),
        ("recording_10.wav", None),
        ("microphone_10.wav", None),
        ("bells.wav", None),
    ],
)
def test_sloclas_reads_class_and_azimuth_off_a_name_or_says_that_it_cannot(path, expected):
    found = described(path)
    assert found == (expected and (sloclas.CLASSES.index(expected[0]), expected[1]))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("bottle1_doa45_000.wav", ("bottles", 45)),
        ("phone4_doa10.wav", ("phone", 10)),
        ("particl2_doa355_007.wav", ("particle", 355)),
        ("bell5/DoA_5/012.wav", ("bells", 5)),
        ("metal15-azimuth-120-003.wav", ("metal", 120)),
        ("Particl2/90.wav", ("particle", 90)),
        ("bottle_1_doa_45.wav", ("bottles", 45)),
        ("phone4/135deg.wav", ("phone", 135)),
        ("whistle3_doa45deg_003.wav", ("whistle", 45)),
        ("45/bottle1_doa.wav", ("bottles", 45)),
        ("45/bottle1_0007.wav", ("bottles", 45)),
        ("SLoClas_sound_and_noise/bell_doa45.wav", ("bells", 45)),
    ],
)
def test_a_digit_of_the_class_is_not_the_azimuth(path, expected):
    assert described(path) == (sloclas.CLASSES.index(expected[0]), expected[1])


@pytest.mark.parametrize(
    "path",
    [
        # two answers
        "doa45/bell_doa90.wav",
        "bell_doa45_doa90.wav",
        "45/bell_90.wav",
        "45/3/bell.wav",
        "bell_135deg_003.wav",
        "bell_45deg_doa90.wav",
        # a digit that may be the class's, a take, a unit
        "ring45deg.wav",
        "90/ring45deg.wav",
        "bell_take_45.wav",
        "bell_16_khz.wav",
        "bell_triangle45.wav",
        "bell_rectangle_45.wav",
        # a sign, a fraction, another writing
        "bell_doa-45.wav",
        "bell_-45deg.wav",
        "bell-45deg.wav",
        "bell_doa22.5.wav",
        "bell_22.5deg.wav",
        "bell_doa4p5.wav",
        "bell_doa1000.wav",
        "45/bell_doa1000.wav",
        "bell_doa_\uff14\uff15.wav",
        "bell_doa(45).wav",
        # a noise or a class
        "traffic_horn_doa90.wav",
        "noise/bell_doa90.wav",
    ],
)
def test_an_azimuth_or_a_class_in_doubt_is_never_guessed(path):
    assert described(path) is None


def test_a_name_in_doubt_among_good_ones_stops_with_the_name(tmp_path):
    for name in ("bottle1_doa45_000.wav", "bottle1_doa50_000.wav", "phone4_take_55.wav"):
        four_channels(tmp_path / "sloclas" / name, 0.01)
    with pytest.raises(DataError, match=r"1 of 3 file names .* 'phone4_take_55\.wav'"):
        sloclas.pairs(tmp_path)


def test_a_number_that_is_all_a_class_has_is_its_own_and_no_azimuth(tmp_path):
    for name in ("phone_4", "metal_15", "bell_5_doa25"):
        four_channels(tmp_path / "sloclas" / f"{name}.wav", 0.01)
    with pytest.raises(DataError, match="no number but 15 for metal"):
        sloclas.pairs(tmp_path)


def test_files_left_out_as_noise_are_counted(segments):
    said = sloclas.remarks(segments, protocol="paper", layout="")
    assert said == ["1 files are named after noises and left out"]


@pytest.fixture
def segments(tmp_path):
    """10 classes x 20 azimuths x 3 short files, and noise that has no class."""
    for number, kind in enumerate(sloclas.CLASSES):
        for azimuth in range(5, 105, 5):
            for take in range(3):
                path = tmp_path / "sloclas" / kind / f"doa{azimuth:03d}" / f"{take}.wav"
                four_channels(path, 0.01, seed=number)
    four_channels(tmp_path / "sloclas" / "noise" / "crowd_090.wav", 0.01)
    return tmp_path


def test_sloclas_paper_is_70_to_30_with_a_tenth_for_validation_and_leaks_by_design(segments):
    clips = sloclas.pairs(segments)
    counts = Counter(clip.split for clip in clips)
    assert counts == {"test": 180, "validation": 40, "train": 380}
    assert leaks.audit(clips)["shared"]["group"] > 150
    assert sloclas.pairs(segments) == clips != sloclas.pairs(segments, seed=8)


def test_sloclas_grouped_shares_no_recording_and_leave_azimuth_out_no_azimuth(segments):
    grouped = sloclas.pairs(segments, protocol="grouped")
    assert not any(leaks.audit(grouped)["shared"].values())
    held_out = sloclas.pairs(segments, protocol="leave-azimuth-out")
    azimuths = by_split(held_out, "azimuth_deg")
    assert len(azimuths["test"]) == 6 and len(azimuths["validation"]) in (1, 2)
    assert not azimuths["test"] & (azimuths["train"] | azimuths["validation"])
    assert not azimuths["train"] & azimuths["validation"]
    for clips in (grouped, held_out):
        assert {c.label for c in clips if c.split == "test"} == set(range(10))


@pytest.mark.parametrize(
    "layout",
    [
        "{kind}{own}_doa{azimuth}_{take:03d}.wav",
        "{azimuth:03d}/{kind}{own}_{take}x.wav",
        "{kind}{own}/doa_{azimuth}/{take:04d}.wav",
    ],
)
def test_leave_sound_out_keeps_a_dry_sound_to_one_side_at_all_azimuths(tmp_path, layout):
    kinds = {"bottle": 1, "phone": 4, "particl": 2}
    for (kind, own), take in itertools.product(kinds.items(), range(10)):
        for azimuth in (5, 90, 355):
            name = layout.format(kind=kind, own=own, take=take, azimuth=azimuth)
            four_channels(tmp_path / "sloclas" / name, 0.01)
    clips = sloclas.pairs(tmp_path, protocol="leave-sound-out")
    sides = {}
    for clip in clips:
        # the take is the digit before the suffix, read here and not by the reader
        sides.setdefault((clip.label, clip.audio.rstrip(".wavx")[-1]), set()).add(clip.split)
    assert len(sides) == 30 and all(len(side) == 1 for side in sides.values())
    assert Counter(clip.split for clip in clips) == {"test": 27, "validation": 9, "train": 54}
    assert {clip.label for clip in clips if clip.split == "test"} == {1, 6, 7}
    assert not any(leaks.audit(clips)["shared"].values())
    (said,) = sloclas.remarks(tmp_path, protocol="leave-sound-out", layout="")
    assert said.endswith("30, each from 3 azimuths")


@pytest.mark.parametrize(
    ("names", "fault"),
    [
        # a number that runs on through all azimuths
        (lambda a, i: f"bell5_doa{a}_{100 * a + i:05d}.wav", "is at 1 of 3 azimuths"),
        (lambda a, i: f"day{i}/bell5_doa{a}_{i}x.wav", None),
        (lambda a, i: f"day{a}/bell5_doa{a}_{i}x.wav", "is at 1 of 3 azimuths"),
        (lambda a, _: f"bell5_doa{a}.wav", "bells has 1 dry sounds,"),
    ],
)
def test_leave_sound_out_stops_where_names_do_not_tell_the_dry_sound(tmp_path, names, fault):
    for azimuth, take in itertools.product((5, 10, 15), range(4)):
        four_channels(tmp_path / "sloclas" / names(azimuth, take), 0.01)
    if fault is None:
        assert len(sloclas.pairs(tmp_path, protocol="leave-sound-out")) == 12
        return
    with pytest.raises(DataError, match=fault) as caught:
        sloclas.pairs(tmp_path, protocol="leave-sound-out")
    assert "column sound" in caught.value.hint
    assert sloclas.pairs(tmp_path)


def test_leave_sound_out_takes_the_dry_sounds_of_a_table(tmp_path):
    rows = [f"x/{a}.wav,bell5,{a},{i},{i + 1},{'abcde'[i]}" for a in (5, 10) for i in range(5)]
    for azimuth in (5, 10):
        four_channels(tmp_path / "sloclas" / "x" / f"{azimuth}.wav", 5.0)
    table = tmp_path / "l.csv"
    table.write_text("\n".join(["file,class,azimuth_deg,start_s,end_s,sound", *rows]))
    clips = sloclas.pairs(tmp_path, protocol="leave-sound-out", layout=str(table))
    assert {clip.group for clip in clips} == {f"bells: {sound}" for sound in "abcde"}
    assert not any(leaks.audit(clips)["shared"].values())
    table.write_text(table.read_text().removesuffix("e"))
    with pytest.raises(DataError, match="a file of bells has no dry sound"):
        sloclas.pairs(tmp_path, protocol="leave-sound-out", layout=str(table))


def test_sloclas_cuts_a_long_recording_into_windows_that_can_be_read(tmp_path):
    for azimuth in (10, 20, 30, 40):
        four_channels(tmp_path / "sloclas" / f"horn_doa{azimuth}.wav", 5.35, seed=azimuth)
    clips = sloclas.pairs(tmp_path, segment_s=0.5, longest_segment_s=2.0)
    first = [clip for clip in clips if clip.azimuth_deg == 10]
    assert [(c.start_s, c.end_s) for c in first] == [(k / 2, k / 2 + 0.5) for k in range(10)]
    assert {clip.group for clip in first} == {"horn_doa10.wav"}
    whole, _ = soundfile.read(tmp_path / "sloclas" / "horn_doa10.wav", dtype="float32")
    heard = np.concatenate([sloclas.audio(tmp_path, clip.audio)[0] for clip in first], 1)
    np.testing.assert_array_equal(heard.T, whole[: 10 * 24_000])


def test_sloclas_stops_at_names_that_say_nothing_and_shows_them(tmp_path):
    for name in ("a.wav", "bells_doa5.wav", "b_001.wav"):
        four_channels(tmp_path / "sloclas" / name, 0.01)
    with pytest.raises(DataError, match=r"2 of 3 file names.*'a\.wav', 'b_001\.wav'") as caught:
        sloclas.pairs(tmp_path)
    assert "data.layout" in caught.value.hint
    with pytest.raises(DataError, match=r"no \.wav files"):
        sloclas.pairs(tmp_path / "sloclas")


def test_sloclas_does_not_take_numbered_takes_for_azimuths(tmp_path):
    for take in range(1, 4):
        four_channels(tmp_path / "sloclas" / "bells" / f"{take:03d}.wav", 0.01)
    with pytest.raises(DataError, match=r"azimuths 1 and 2, .* mean something else"):
        sloclas.pairs(tmp_path)


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_sloclas_takes_a_table_of_the_users(tmp_path, kind):
    four_channels(tmp_path / "sloclas" / "x" / "1.wav", 1.0)
    rows = [
        {
            "file": "x/1.wav",
            "class": "phone",
            "azimuth_deg": 360,
            "start_s": 0.25,
            "end_s": 0.75,
            "recording": "A",
        },
        {"file": "x/1.wav", "class": "ring", "azimuth_deg": 7.5, "start_s": 0.75, "end_s": 1.5},
        {"file": "x/2.wav", "class": "ring", "azimuth_deg": 7.5, "start_s": "", "end_s": ""},
    ]
    layout = tmp_path / f"layout.{kind}"
    if kind == "csv":
        with layout.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    else:
        layout.write_text("".join(json.dumps(row) + "\n" for row in rows))
    phone, beyond, missing = sloclas.pairs(tmp_path, layout=str(layout))
    assert (phone.label, phone.azimuth_deg, phone.group, phone.excluded) == (7, 0, "A", "")
    assert sloclas.audio(tmp_path, phone.audio)[0].shape == (4, 24_000)
    assert "0.75 to 1.5 s of a recording of 1 s" in beyond.excluded
    assert "no such file" in missing.excluded


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("../a.wav,bells,5,,", "below the data set"),
        ("/a.wav,bells,5,,", "below the data set"),
        ("a.wav,cat,5,,", "no class 'cat'"),
        ("a.wav,bells,361,,", "not in 0 to 360"),
        ("a.wav,bells,nan,,", "not in 0 to 360"),
        ("a.wav,bells,x,,", "could not convert"),
        ("a.wav,bells,4_5,,", "could not convert"),
        ("a.wav,bells", "row 1"),
        ("a.wav,bells,5,1,", "come together"),
        ("a.wav,bells,5,2,1", "no span"),
        ("a\u202e.wav,bells,5,,", "printable"),
    ],
)
def test_sloclas_names_the_row_of_a_damaged_table(tmp_path, row, message):
    layout = tmp_path / "layout.csv"
    layout.write_text(f"file,class,azimuth_deg,start_s,end_s\n{row}\n", encoding="utf-8")
    with pytest.raises(DataError, match=message) as caught:
        sloclas.pairs(tmp_path, layout=str(layout))
    assert "layout.csv, row 1" in caught.value.message


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("l.csv", b""),
        ("l.csv", b"file,class\n"),
        ("l.csv", b"a,b\n1,2\n"),
        ("l.csv", b"\xff\xfe"),
        ("l.jsonl", b"[1]\n"),
        ("l.jsonl", b"null\n"),
        ("l.jsonl", b"{\n"),
        ("l.jsonl", b'{"file": "a", "class": "bells", "azimuth_deg": 1' + b"0" * 400 + b"}\n"),
        ("l.jsonl", b'{"file": "\\ud800", "class": "bells", "azimuth_deg": 1}\n'),
        ("l.jsonl", b"[" * 100_000),
    ],
    ids=["empty", "header", "columns", "bytes", "list", "null", "json", "number", "name", "deep"],
)
def test_sloclas_refuses_a_table_that_is_none(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=name):
        sloclas.pairs(tmp_path, layout=str(tmp_path / name))


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda p: four_channels(p, 0.01, channels=1), "1 channels, not 4"),
        (lambda p: four_channels(p, 0.01, rate_hz=16_000), "16000 Hz, not 48000"),
        (lambda p: p.write_bytes(b"no sound"), "not a readable sound file"),
        (endless, "1431656 s long"),
    ],
    ids=["mono", "rate", "text", "endless"],
)
def test_sloclas_excludes_an_unfit_file_with_its_reason(segments, damage, reason):
    damage(segments / "sloclas" / "horn" / "doa050" / "1.wav")
    bad = [clip for clip in sloclas.pairs(segments) if clip.excluded]
    assert [clip.audio for clip in bad] == ["sloclas/horn/doa050/1.wav"]
    assert reason in bad[0].excluded


@pytest.mark.parametrize(
    "source",
    [
        "sloclas/cut.wav",
        "sloclas/nan.wav",
        "sloclas/mono.wav",
        "sloclas/nan.wav#0.000000-0.005000",
        "../outside.wav",
        "sloclas/ok.wav#0.005000-0.020000",
    ],
)
def test_a_source_that_cannot_be_read_whole_is_a_data_error(tmp_path, source):
    raw = tmp_path / "raw"
    for name in ("cut", "ok"):
        four_channels(raw / "sloclas" / f"{name}.wav", 0.01)
    cut = raw / "sloclas" / "cut.wav"
    cut.write_bytes(cut.read_bytes()[:2000])
    four_channels(raw / "sloclas" / "mono.wav", 0.01, channels=1)
    four_channels(tmp_path / "outside.wav", 0.01)
    soundfile.write(raw / "sloclas" / "nan.wav", np.full((480, 4), np.nan), 48_000, "FLOAT")
    assert sloclas.audio(raw, "sloclas/ok.wav")[0].shape == (4, 480)
    with pytest.raises(DataError):
        sloclas.audio(raw, source)
