"""The user's own folder: every layout that is promised, and one clear line for what is wrong."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from pipelines.clips import leaks
from pipelines.datasets import _folder_table as tables
from pipelines.datasets import folder
from pipelines.errors import DataError
from tests.unit.test_video import film


def wav(path: Path, value: float = 0.3) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.full(800, value), 8000)


def png(path: Path, level: int = 90) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((6, 8, 3), level, np.uint8)).save(path)


@pytest.fixture
def two(tmp_path):
    """Two classes of ten pairs."""
    for label in ("dog", "rain"):
        for i in range(10):
            wav(tmp_path / label / f"{i}.wav")
            png(tmp_path / label / f"{i}.png")
    return tmp_path


def listed(root, **settings):
    return folder.pairs(root, path=str(root), **settings)


def test_files_that_are_not_read_are_counted_by_kind(two):
    assert folder.remarks(two) == []
    for name in ("dog/1.m4a", "dog/2.M4A", "dog/notes", "rain/deep/3.txt", ".hidden", "loose.wav"):
        (two / name).parent.mkdir(exist_ok=True)
        (two / name).write_bytes(b"x")
    assert folder.remarks(two) == [
        "not read: .m4a (2), beside the class folders (1), no ending (1), .txt (1)"
    ]
    assert len(listed(two)) == 20
    (two / "clips.csv").write_text("audio,label\ndog/1.wav,dog\n")
    assert folder.remarks(two) == []


def by_id(clips):
    return {clip.id: clip for clip in clips}


def test_class_folders_are_classes_and_stems_are_pairs(two):
    clips = listed(two)
    assert folder.classes(two) == ("dog", "rain")
    assert len(clips) == 20 and not any(clip.excluded for clip in clips)
    clip = by_id(clips)["rain/3"]
    assert (clip.label, clip.audio, clip.visual) == (1, "rain/3.wav", "rain/3.png")
    assert Counter((c.label, c.split) for c in clips) == {
        (label, split): n
        for label in (0, 1)
        for split, n in (("test", 2), ("validation", 1), ("train", 7))
    }
    assert folder.audio(two, clip.audio)[0].shape == (1, 800)
    assert folder.image(two, clip.visual).shape == (6, 8, 3)


def test_the_split_does_not_depend_on_the_order_of_the_directory(two, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    for path in sorted(two.rglob("*.*"), reverse=True):
        copy = other / path.relative_to(two)
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes(path.read_bytes())
    assert listed(two) == listed(other)
    assert listed(two, seed=1) != listed(two)


def test_trees_of_sounds_and_images_give_the_same_pairs(two, tmp_path_factory):
    other = tmp_path_factory.mktemp("trees")
    for path in two.rglob("*.*"):
        tree = "audio" if path.suffix == ".wav" else "images"
        copy = other / tree / path.relative_to(two)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    clips = by_id(listed(other))
    assert set(clips) == set(by_id(listed(two)))
    assert clips["dog/1"].visual == "images/dog/1.png"


def test_sounds_alone_and_images_alone_are_data_too(two):
    for path in two.rglob("*.png"):
        path.unlink()
    assert {clip.visual for clip in listed(two)} == {""}
    assert not any(clip.excluded for clip in listed(two))


def test_a_video_is_its_own_sound_and_picture(tmp_path):
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        source = film(tmp_path / "x.avi", codec="mpeg4", sound="pcm_s16le", count=10)
        for i in range(4):
            (tmp_path / label / f"{i}.avi").write_bytes(source.read_bytes())
    (tmp_path / "x.avi").unlink()
    clip = by_id(listed(tmp_path))["a/2"]
    assert clip.audio == clip.visual == "a/2.avi"
    waveform, rate = folder.audio(tmp_path, clip.audio)
    assert rate == 16000 and abs(waveform.shape[1] / rate - 0.4) < 0.05
    assert abs(folder.image(tmp_path, clip.visual).mean() - 30) < 4  # frame 5 of 10
    frames = folder.video(tmp_path, clip.visual, pick="even", frames=2, pick_seed=0)
    assert frames.shape == (2, 48, 64, 3)


def test_given_splits_are_taken_and_validation_is_made_where_it_lacks(two, tmp_path_factory):
    other = tmp_path_factory.mktemp("given")
    for path in two.rglob("*.*"):
        part = "test" if path.stem in "012" else "train"
        copy = other / part / path.relative_to(two)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    clips = listed(other, protocol="given")
    assert all((clip.split == "test") == (clip.id[-1] in "012") for clip in clips)
    assert Counter(clip.split for clip in clips) == {"test": 6, "validation": 2, "train": 12}
    with pytest.raises(DataError, match="20 clips have no split"):
        listed(two, protocol="given")


def test_no_group_is_on_two_sides(tmp_path):
    for label in ("a", "b"):
        for recording in range(12):
            for part in range(3):
                wav(tmp_path / label / f"rec{recording}_{part}.wav")
    clips = listed(tmp_path, protocol="grouped", group_pattern=r"^(.+)_[0-9]+$")
    assert leaks.audit(clips)["shared"]["group"] == 0
    assert {clip.split for clip in clips} == {"train", "validation", "test"}
    assert leaks.audit(listed(tmp_path, group_pattern=r"^(.+)_[0-9]+$"))["shared"]["group"] > 5


@pytest.mark.parametrize(
    ("pattern", "said"),
    [("(", "group_pattern"), ("x+", "has no group"), ("(zzz)", "does not match"), (None, "own")],
)
def test_a_group_pattern_that_does_not_group_is_one_line(two, pattern, said):
    with pytest.raises(DataError, match=said):
        listed(two, protocol="grouped", group_pattern=pattern)


def spoil_no_image(root):
    (root / "dog/0.png").unlink()
    return "dog/0", "has no image"


def spoil_no_sound(root):
    (root / "dog/1.wav").unlink()
    return "dog/1", "has no sound"


def spoil_empty(root):
    (root / "rain/2.wav").write_bytes(b"")
    return "rain/2", "is empty"


def spoil_twice(root):
    wav(root / "rain/3.flac")
    return "rain/3", "several files of one kind"


def spoil_video_too(root):
    film(root / "rain/4.avi", codec="mpeg4", count=3)
    return "rain/4", "a video and other files"


def spoil_link(root):
    outside = root.parent / f"{root.name}-outside.wav"
    wav(outside)
    (root / "dog/5.wav").unlink()
    (root / "dog/5.wav").symlink_to(outside)
    return "dog/5", "link that leaves"


def spoil_dangling(root):
    (root / "dog/6.wav").unlink()
    (root / "dog/6.wav").symlink_to(root / "nowhere.wav")
    return "dog/6", "cannot be read"


@pytest.mark.parametrize(
    "spoil",
    [
        spoil_no_image,
        spoil_no_sound,
        spoil_empty,
        spoil_twice,
        spoil_video_too,
        spoil_link,
        spoil_dangling,
    ],
    ids=lambda spoil: spoil.__name__.removeprefix("spoil_"),
)
def test_a_bad_file_excludes_its_clip_and_no_other(two, spoil):
    name, said = spoil(two)
    clips = listed(two)
    bad = [clip for clip in clips if clip.excluded]
    assert [clip.id for clip in bad] == [name] and said in bad[0].excluded
    assert len(clips) == 20


def stop_one_class(root):
    for path in (root / "rain").iterdir():
        path.unlink()
    (root / "rain").rmdir()
    return "1 class: dog"


def stop_small_class(root):
    wav(root / "new/1.wav")
    png(root / "new/1.png")
    return r"fewer than 3 usable clips: new \(1\)"


def stop_empty_class(root):
    (root / "void").mkdir()
    return "void holds no sound"


def stop_strange_class(root):
    (root / "notes").mkdir()
    (root / "notes/readme.txt").write_text("x")
    return "notes holds no sound"


def stop_nothing(root):
    for path in sorted(root.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    return "0 classes|no class folders"


@pytest.mark.parametrize(
    "spoil",
    [stop_one_class, stop_small_class, stop_empty_class, stop_strange_class, stop_nothing],
    ids=lambda spoil: spoil.__name__.removeprefix("stop_"),
)
def test_what_makes_no_data_set_stops_with_one_line(two, spoil):
    said = spoil(two)
    with pytest.raises(DataError, match=said) as caught:
        listed(two)
    assert caught.value.hint


def test_what_the_system_leaves_in_folders_is_nothing(two):
    before = listed(two)
    for name in (".DS_Store", "Thumbs.db", "dog/.hidden.wav", "dog/notes.txt", "readme.md"):
        (two / name).write_bytes(b"x")
    (two / "__MACOSX").mkdir()
    wav(two / "__MACOSX/dog/1.wav")
    assert listed(two) == before


def test_a_silent_sound_is_refused(two):
    wav(two / "dog/1.wav", 0.0)
    with pytest.raises(DataError, match=r"1\.wav: silent"):
        folder.audio(two, "dog/1.wav")


HEADER = "audio,image,label,group,split,azimuth,speaker\n"


def table(root, *rows, header=HEADER, name="clips.csv"):
    (root / name).write_text(header + "".join(row + "\n" for row in rows), encoding="utf-8")
    return root


def rows(count=4):
    return [
        f"{label}/{i}.wav,{label}/{i}.png,{label},rec{i // 2},{'test' if i == 3 else 'train'},"
        f"{90 * i - 90},ann"
        for label in ("dog", "rain")
        for i in range(count)
    ]


def test_a_table_gives_label_group_split_azimuth_and_speaker(two):
    clips = listed(table(two, *rows()), protocol="given")
    assert len(clips) == 8
    clip = next(clip for clip in clips if clip.audio == "rain/0.wav")
    assert (clip.label, clip.group, clip.azimuth_deg, clip.speaker) == (1, "rec0", 270.0, "ann")
    assert {c.audio for c in clips if c.split == "test"} == {"dog/3.wav", "rain/3.wav"}


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_spreadsheets_of_other_countries_are_read(two, delimiter):
    lines = [row.replace(",", delimiter) for row in rows()]
    found = listed(table(two, *lines, header="\ufeff" + HEADER.replace(",", delimiter)))
    assert len(found) == 8


def test_json_lines_are_read(two):
    lines = [
        json.dumps({"audio": f"{x}/{i}.wav", "label": x, "azimuth": -90})
        for x in ("dog", "rain")
        for i in range(4)
    ]
    clips = listed(table(two, *lines, header="", name="clips.jsonl"))
    assert len(clips) == 8 and {c.azimuth_deg for c in clips} == {270.0}
    with pytest.raises(DataError, match=r"clips\.jsonl:2: not JSON"):
        listed(table(two, lines[0], "{", header="", name="clips.jsonl"))


def test_all_faults_of_a_table_are_said_at_once_with_their_lines(two):
    bad = [
        "../secret.wav,,dog,,,,",
        "/etc/passwd,,dog,,,,",
        "dog/1.wav,,,,,,",
        "dog/2.wav,,dog,,sometimes,,",
        "dog/3.wav,,dog,,,north,",
        "dog/4.wav,,dog,,,999,",
        ",,dog,,,,",
        "dog/5.txt,,dog,,,,",
        "dog/6.wav,,dog,,,,",
        "dog/6.wav,,dog,,,,",
    ]
    with pytest.raises(DataError) as caught:
        listed(table(two, *bad))
    said = caught.value.message.splitlines()
    assert [
        int(line.split("clips.csv:")[1].split(":")[0]) for line in said if "again" not in line
    ] == [2, 3, 4, 5, 6, 7, 8, 9]
    assert "clips.csv:11: the clip of line 10 again" in caught.value.message


@pytest.mark.parametrize(
    ("header", "row", "said"),
    [
        ("audio,lable\n", "dog/1.wav,dog", "unknown column 'lable'"),
        ("audio,label,label\n", "dog/1.wav,dog,dog", "twice"),
        ("audio,label\n", "dog/1.wav", "not as many fields"),
        ("audio,label\n", "dog/1.wav,dog,x", "not as many fields"),
        ("audio,label\n", "", "holds no clip"),
        ("audio,image,video,label\n", "a.wav,a.png,a.mp4,dog", "both image and video"),
    ],
)
def test_a_malformed_table_is_one_line(two, header, row, said):
    with pytest.raises(DataError, match=said):
        listed(table(two, *([row] if row else []), header=header))


def test_a_table_that_is_not_text_or_not_there_is_one_line(two):
    (two / "clips.csv").write_bytes(b"\xff\xfe\x00audio")
    with pytest.raises(DataError, match="cannot read"):
        listed(two)
    with pytest.raises(DataError, match="no such file"):
        listed(two, table="other.csv")
    (two / "clips.jsonl").write_text("{}")
    with pytest.raises(DataError, match="has both"):
        listed(two)


def test_a_file_that_a_table_names_and_that_is_not_there_excludes_its_clip(two):
    clips = listed(table(two, *rows(), "dog/77.wav,dog/0.png,dog,,train,,"))
    bad = [clip for clip in clips if clip.excluded]
    assert len(bad) == 1 and "77.wav: no such file" in bad[0].excluded


@pytest.mark.parametrize("link", [False, True])
def test_of_a_table_outside_the_folder_no_message_quotes_the_content(tmp_path, link):
    """A recipe from someone else can name any file: what it holds must not reach the terminal."""
    root = tmp_path / "set"
    root.mkdir()
    for content in (
        "secret:x:0:0:secret:/secret:/bin/secret\nsecret:x\n",
        "secret,secrets;lable\na,b\n",
        "secretkey",
        "label,audio,split\nsecret,secret.wav,secret\n",
        "label,audio,azimuth\nsecret,/secret,secret\nsecret,/secret,1\n",
        '{"secret": 1}\n',
        '{"secret',
    ):
        outside = tmp_path / ("any.jsonl" if content[0] == "{" else "any")
        outside.write_text(content)
        name = f"../{outside.name}"
        if link:
            name = f"link{outside.suffix}"
            (root / name).unlink(missing_ok=True)
            (root / name).symlink_to(outside)
        with pytest.raises(DataError) as failure:
            tables.read_entries(root, tables.find(root, name))
        assert "secret" not in failure.value.message.replace(str(tmp_path), "")
        assert "secret" not in failure.value.hint and "lable" not in failure.value.message
        inside = root / f"inside{outside.suffix}"
        inside.write_text(content)
        with pytest.raises(DataError):
            tables.read_entries(root, inside)
