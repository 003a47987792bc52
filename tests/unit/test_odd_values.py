"""Values that JSON and CSV can hold and nothing of ours can be: named, never a traceback."""

import json

import pytest

from avsnn_cli.render import TerminalReporter
from pipelines.clips.clips import Clip, read_clips
from pipelines.datasets import folder
from pipelines.disk import seal, store
from pipelines.disk.paths import user_path
from pipelines.errors import DataError, UsageError
from pipelines.reports.run_plots import draw_run_training
from pipelines.results import run_files, schemas
from tests.unit.test_folder import wav

CLIP = {"id": "a", "split": "test", "label": 0, "group": "", "audio": "a.wav", "visual": ""}
HUGE = 10**400


@pytest.mark.parametrize(
    "change",
    [
        {"azimuth_deg": HUGE},
        {"azimuth_deg": -1.0},
        {"azimuth_deg": float("nan")},
        {"azimuth_deg": "12"},
        {"start_s": HUGE},
        {"end_s": True},
        {"id": None},
        {"id": 3},
        {"id": "\ud800"},
        {"audio": "a\udcff.wav"},
        {"group": ["a"]},
        {"speaker": {}},
        {"excluded": 0},
        {"label": -1},
        {"label": True},
        {"label": HUGE},
        {"label": 1.0},
        {"split": "\ud800"},
        {"more": 1},
    ],
)
def test_a_clip_with_a_field_that_no_data_set_gives_is_named(tmp_path, change):
    path = tmp_path / "clips.jsonl"
    path.write_text(f"{json.dumps(CLIP)}\n{json.dumps(CLIP | change)}\n")
    with pytest.raises(DataError, match=r"clips\.jsonl:2: not a clip"):
        read_clips(path)


def test_a_clip_nested_a_thousand_times_is_named(tmp_path):
    path = tmp_path / "clips.jsonl"
    path.write_text(json.dumps(CLIP).replace('"a"', "[" * 100_000))
    with pytest.raises(DataError, match=r"clips\.jsonl:1: not a clip"):
        read_clips(path)


def test_a_clip_of_our_own_is_still_read(tmp_path):
    path = tmp_path / "clips.jsonl"
    path.write_text(json.dumps(CLIP | {"azimuth_deg": 359.5, "start_s": 0, "end_s": 1.5}))
    assert read_clips(path) == [Clip(**CLIP, azimuth_deg=359.5, start_s=0, end_s=1.5)]


@pytest.fixture
def root(tmp_path):
    for label in ("dog", "rain"):
        for i in range(3):
            wav(tmp_path / label / f"{i}.wav")
    return tmp_path


def tabled(root, **more):
    rows = [
        {"audio": f"{label}/{i}.wav", "label": label, **more}
        for label in ("dog", "rain")
        for i in range(3)
    ]
    (root / "clips.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder.pairs(root, path=str(root))


def test_a_table_with_an_azimuth_of_four_hundred_digits_is_named(root):
    with pytest.raises(DataError, match=r"clips\.jsonl:1: azimuth .*-360 to 360") as caught:
        tabled(root, azimuth=HUGE)
    assert "is not in" in caught.value.message


def test_an_azimuth_just_below_zero_is_zero(root):
    assert {clip.azimuth_deg for clip in tabled(root, azimuth=-1e-20)} == {0.0}


def test_the_name_of_a_column_can_be_written_down(root):
    tabled(root, **{"\ud800": 1})
    (remark,) = folder.remarks(root)
    assert remark.encode() == b"clips.jsonl: columns not read: ?"


def test_a_quote_parts_no_columns(root):
    (root / "clips.csv").write_text('sep="\naudio"label\ndog/0.wav"dog\n')
    with pytest.raises(DataError, match=r"clips\.csv:1: columns cannot be separated by a quote"):
        folder.pairs(root, path=str(root))


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b", "\ud800"])
def test_a_table_that_no_file_system_can_hold_is_not_there(root, name):
    with pytest.raises(DataError, match="no such file"):
        folder.pairs(root, path=str(root), table=name)


def test_half_a_surrogate_comes_back_from_a_sealed_file(tmp_path):
    sealed = seal.publish(tmp_path / "a.json", {"name": "a\ud800é\u2028"})
    assert seal.read_sealed(tmp_path / "a.json", "") == sealed
    assert "é" in (tmp_path / "a.json").read_text(encoding="utf-8")


def test_a_log_takes_half_a_surrogate(tmp_path):
    with pytest.raises(DataError), TerminalReporter(quiet=True) as report:
        report.log_to(tmp_path / "run.log")
        report.say("said \udcff")
        raise DataError("about \ud800")
    text = (tmp_path / "run.log").read_text(encoding="utf-8")
    assert r"said \udcff" in text and r"error: about \ud800" in text


POINT = {"snr_db": None, "accuracy": 0.5, "wilson_low": 0.0, "wilson_high": 1.0}
SWEEP = {
    "noise": {
        "modality": "both",
        "power": "sample",
        "seed": 0,
        "snr_db": {"start": 1.0, "stop": 1.0, "step": 1.0},
    },
    "noisy_inputs": ["audio"],
    "n": 2,
}


@pytest.mark.parametrize("correct", [[], "1", HUGE, -1, 0.5])
def test_a_count_of_a_sweep_that_is_no_count_is_named(tmp_path, correct):
    points = [POINT | {"correct": correct}, POINT | {"snr_db": 1.0}]
    store.publish_json(tmp_path / "noise-both.json", SWEEP | {"points": points})
    with pytest.raises(DataError, match=r"points\.0\.correct"):
        run_files.read_result(tmp_path / "noise-both.json", schemas.NoiseSweep)


def test_a_number_of_clips_that_no_float_holds_is_named(tmp_path):
    content = SWEEP | {"n": HUGE, "points": [POINT | {"correct": 1}, POINT | {"snr_db": 1.0}]}
    store.publish_json(tmp_path / "noise-both.json", content)
    with pytest.raises(DataError, match="not readable: n "):
        run_files.read_result(tmp_path / "noise-both.json", schemas.NoiseSweep)


def test_a_sealed_environment_without_its_names_is_named(tmp_path):
    seal.publish(tmp_path / "env.json", {"name": "x", "caches": []})
    (tmp_path / "recipe.yaml").write_text("version: 1\n")
    with pytest.raises(DataError, match=r"recipe\.yaml beside it was edited"):
        run_files.read_result(tmp_path / "env.json", schemas.Environment)


@pytest.mark.parametrize(
    "bad", [{"epoch": HUGE}, {"train_loss": HUGE}, {"validation_accuracy": []}]
)
def test_a_course_of_training_that_no_axis_holds_is_named(tmp_path, bad):
    (tmp_path / "trained.json").write_text(
        json.dumps({"selected": {"epoch": 0}, "rule": "last", "sha256": "0" * 64})
    )
    record = {"epoch": 0, "train_loss": 1.0, "validation_accuracy": 0.5} | bad
    (tmp_path / "metrics.jsonl").write_text(json.dumps(record) + "\n")
    with pytest.raises(DataError, match=r"metrics\.jsonl"):
        draw_run_training(tmp_path)


def test_a_path_with_half_a_surrogate_is_named():
    with pytest.raises(UsageError, match="no file has such a name"):
        user_path("a\ud800")
