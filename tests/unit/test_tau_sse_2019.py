"""tau-sse-2019 on files in its published layout, and on damaged ones."""

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile

from pipelines.clips import leaks
from pipelines.datasets import tau_sse_2019
from pipelines.errors import DataError
from tests.published import by_split, four_channels, tau_table

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """All 500 recordings by their published names, a fifth of a second each, with an event or 2."""
    raw = tmp_path_factory.mktemp("tau")
    with (ROOT / "data_manifests" / "tau-sse-2019.tsv").open() as file:
        names = [row["path"] for row in csv.DictReader(file, delimiter="\t")]
    classes, content = tau_sse_2019.CLASSES, None
    for number, name in enumerate(sorted(n for n in names if n.endswith(".wav"))):
        path = raw / name
        if content is None:
            four_channels(path, 0.2)
            content = path.read_bytes()
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        kinds = classes[number % 11], classes[(number + 5) % 11]
        overlapping = "_ov2_" in name or ("eval" in name and number % 2)
        after = 0.04 if overlapping else 0.1
        tau_table(
            raw / name.replace("mic_", "metadata_").replace(".wav", ".csv"),
            [f"{kinds[0]},0.02,0.1,-10,-10,2", f"{kinds[1]},{after},0.2,40,170,1"],
        )
    return raw


def test_tau_has_200_recordings_without_overlap_50_in_each_fold(published):
    clips = tau_sse_2019.pairs(published)
    assert len({clip.group for clip in clips}) == 200 and len(clips) == 400
    folds = by_split(clips, "group")
    assert {s: len(g) for s, g in folds.items()} == {"train": 100, "validation": 50, "test": 50}
    assert not any(clip.excluded for clip in clips)
    assert all("_ov1_" in clip.group for clip in clips)


@pytest.mark.parametrize(
    # the challenge baseline's rotation: test 1, 2, 3, 4 with validation 2, 3, 4, 1
    ("test", "validation"),
    [(1, 2), (2, 3), (3, 4), (4, 1)],
)
def test_tau_rotates_the_folds_as_the_challenge_did(published, test, validation):
    clips = tau_sse_2019.pairs(published, test_fold=test)
    found = by_split(clips, "group")
    assert {name[5] for name in found["test"]} == {str(test)}
    assert {name[5] for name in found["validation"]} == {str(validation)}
    assert {name[5] for name in found["train"]} == set("1234") - {str(test), str(validation)}


def test_tau_tests_on_the_evaluation_recordings_without_overlap(published):
    clips = tau_sse_2019.pairs(published, protocol="evaluation-set")
    found = by_split(clips, "group")
    assert len(found["test"]) == 50 and all(name.startswith("split0_") for name in found["test"])
    assert len(found["validation"]) == 20 and len(found["train"]) == 180
    assert not any(leaks.audit(clips)["shared"].values())
    assert all(clip.audio.startswith("mic_eval/") for clip in clips if clip.split == "test")


def test_tau_cuts_an_event_to_the_sample_and_turns_its_azimuth(tmp_path):
    for fold in (1, 2, 3, 4):
        name = f"split{fold}_ir0_ov1_7"
        four_channels(tmp_path / "mic_dev" / f"{name}.wav", 1.5, seed=fold)
        tau_table(
            tmp_path / "metadata_dev" / f"{name}.csv",
            ["laughter,1.0,1.334,-10,-10,2", "cough,0.366,0.9,40,170,1"],
        )
    cough, laughter = tau_sse_2019.pairs(tmp_path)[:2]
    assert (cough.label, cough.azimuth_deg, cough.group) == (8, 170, "split1_ir0_ov1_7")
    assert (laughter.label, laughter.azimuth_deg) == (10, 350)
    assert (laughter.start_s, laughter.end_s) == (1.0, 1.334)
    heard, rate = tau_sse_2019.audio(tmp_path, cough.audio)
    file = tmp_path / "mic_dev" / "split1_ir0_ov1_7.wav"
    expected, _ = soundfile.read(file, start=round(0.366 * 48_000), stop=round(0.9 * 48_000))
    assert rate == 48_000 and heard.dtype == np.float32
    np.testing.assert_array_equal(heard, expected.T.astype(np.float32))


@pytest.fixture
def small(tmp_path):
    for fold in (1, 2, 3, 4):
        name = f"split{fold}_ir0_ov1_1"
        four_channels(tmp_path / "mic_dev" / f"{name}.wav", 0.5)
        tau_table(tmp_path / "metadata_dev" / f"{name}.csv", ["cough,0.1,0.3,-10,-10,2"])
    return tmp_path


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda p: four_channels(p, 0.5, channels=1), "1 channels, not 4"),
        (lambda p: four_channels(p, 0.5, rate_hz=44_100), "44100 Hz, not 48000"),
        (lambda p: four_channels(p, 0.2), "0.1 to 0.3 s of a recording of 0.2 s"),
        (lambda p: p.write_bytes(b""), "not a readable sound file"),
        (lambda p: p.write_bytes(b"RIFF\0\0\0\0WAVE" + bytes(50)), "not a readable sound file"),
        (lambda p: p.write_bytes(p.read_bytes()[:40]), ""),
    ],
    ids=["mono", "rate", "short", "empty", "no audio", "cut"],
)
def test_tau_excludes_the_events_of_an_unfit_recording_and_refuses_to_read_them(
    small, damage, reason
):
    damage(small / "mic_dev" / "split2_ir0_ov1_1.wav")
    clips = tau_sse_2019.pairs(small)
    assert [bool(clip.excluded) for clip in clips] == [False, True, False, False]
    assert reason in clips[1].excluded
    with pytest.raises(DataError, match="split2_ir0_ov1_1"):
        tau_sse_2019.audio(small, clips[1].audio)


def test_tau_moves_an_end_that_is_a_little_late_back_to_the_end_of_the_file(small):
    tau_table(small / "metadata_dev" / "split1_ir0_ov1_1.csv", ["cough,0.1,0.53,-10,-10,2"])
    clip = tau_sse_2019.pairs(small)[0]
    assert clip.end_s == 0.5 and not clip.excluded
    assert tau_sse_2019.audio(small, clip.audio)[0].shape == (4, 19_200)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"csv:1: the columns must be"),
        (b"class,start,end\n", r"csv:1: the columns"),
        (b"{}\ncough,0.1,0.3,0,0\n", r"csv:2: 5 fields"),
        (b"{}\ncough,0.1,0.3,0,0,1\nbark,0.1,0.3,0,0,1\n", r"csv:3: no class 'bark'"),
        (b"{}\ncough,0.3,0.1,0,0,1\n", r"csv:2: times must ascend"),
        (b"{}\ncough,nan,0.3,0,0,1\n", r"csv:2: times must ascend"),
        (b"{}\ncough,0.1,0.3,0,1e9,1\n", r"csv:2: .*azimuths"),
        (b"{}\ncough,0.1,x,0,0,1\n", r"csv:2: could not convert"),
        (b"{}\ncough,0.1,0.3,0,\xff,1\n", r"csv:1: 'utf-8'"),
        (b"{}\n" + b"x" * 200_000 + b"\n", r"csv:\d: "),
        (b"{}\n" + b"x" * (1 << 20), r"above 1048576 bytes"),
    ],
    ids=[
        "empty",
        "columns",
        "fields",
        "class",
        "order",
        "nan",
        "azimuth",
        "word",
        "bytes",
        "field size",
        "huge",
    ],
)
def test_tau_names_the_line_of_a_damaged_table(small, content, message):
    header = b"sound_event_recording,start_time,end_time,ele,azi,dist"
    path = small / "metadata_dev" / "split3_ir0_ov1_1.csv"
    path.write_bytes(content.replace(b"{}", header, 1))
    with pytest.raises(DataError, match=message):
        tau_sse_2019.pairs(small)


def test_tau_names_what_is_missing(small, tmp_path_factory):
    (small / "metadata_dev" / "split3_ir0_ov1_1.csv").unlink()
    with pytest.raises(DataError, match="split3_ir0_ov1_1: no table in metadata_dev"):
        tau_sse_2019.pairs(small)
    (small / "mic_dev" / "split3_ir0_ov1_1.wav").unlink()
    with pytest.raises(DataError, match="no recordings split3"):
        tau_sse_2019.pairs(small)
    with pytest.raises(DataError, match="split1"):
        tau_sse_2019.pairs(tmp_path_factory.mktemp("nothing"))


@pytest.mark.parametrize(
    "name",
    [
        "split5_ir0_ov1_1",
        "split1_ir0_ov3_1",
        "split1_ir0_ov1_01",
        "split1_ir0_ov1_1 (1)",
        "Split1_ir0_ov1_2",
        "split11_ir0_ov1_1",
    ],
)
@pytest.mark.parametrize("place", ["mic_dev/{}.wav", "metadata_dev/{}.csv"])
def test_tau_does_not_guess_what_a_recording_of_another_name_is(small, name, place):
    (small / place.format(name)).touch()
    with pytest.raises(DataError, match="not a name of the published layout"):
        tau_sse_2019.pairs(small)
