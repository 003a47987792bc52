"""Tables as spreadsheets, pandas and Windows write them are read; what cannot be is one message."""

import codecs
import json

import pytest

from pipelines.datasets import folder
from pipelines.errors import DataError
from tests.unit.test_folder import png, wav

PATHS = [f"{kind} x/{i}.wav" for kind in ("dog", "rain") for i in range(4)]


@pytest.fixture
def root(tmp_path):
    for path in PATHS:
        wav(tmp_path / "my data" / path)
        png(tmp_path / "my data" / path.replace(".wav", ".png"))
    return tmp_path / "my data"


def label(path):
    return path.split(" ")[0]


def listed(root, content, name="clips.csv"):
    (root / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder.pairs(root, path=str(root))


def plain(root):
    """Give the clips of the simplest table of the same files."""
    found = listed(root, "\n".join(["audio,label", *(f"{p},{label(p)}" for p in PATHS)]))
    (root / "clips.csv").unlink()
    return found


def assert_same(root, content, remark=None, name="clips.csv"):
    wanted = plain(root)
    assert listed(root, content, name) == wanted
    assert not any(clip.excluded for clip in wanted) and len(wanted) == 8
    assert folder.remarks(root) == ([f"{name}: {remark}"] if remark else [])


def test_absolute_paths_inside_the_folder_are_read(root, tmp_path):
    assert_same(root, "\n".join(["audio,label", *(f"{root}/{p},{label(p)}" for p in PATHS)]))
    link = tmp_path / "link"
    link.symlink_to(root)
    rows = "\n".join(["audio,label", *(f"{root}/{p},{label(p)}" for p in PATHS)])
    (root / "clips.csv").write_text(rows)
    assert [c.audio for c in folder.pairs(link, path=str(link))] == sorted(PATHS)


@pytest.mark.parametrize("path", ["{root}/../secret.wav", "{root}x/1.wav", "/etc/1.wav"])
def test_absolute_paths_that_leave_the_folder_are_refused(root, path):
    with pytest.raises(DataError, match=r"clips\.csv:2: audio .* is not a path inside the folder"):
        listed(root, f"audio,label\n{path.format(root=root)},dog\n")


def test_paths_of_windows_are_read_and_its_drives_are_refused_once(root):
    rows = [f"{p},{label(p)}".replace("/", "\\") for p in PATHS]
    assert_same(root, "\r\n".join(["audio,label", *rows]))
    rows = [f"D:\\sets\\{p},{label(p)}".replace("/", "\\") for p in PATHS]
    with pytest.raises(DataError) as caught:
        listed(root, "\n".join(["audio,label", *rows]))
    (line,) = caught.value.message.splitlines()
    assert "clips.csv:2: " in line and "inside the folder (and so in all 8 rows)" in line
    with pytest.raises(DataError, match="inside the folder"):
        listed(root, "audio,label\n..\\secret.wav,dog\n")


def test_extra_columns_are_named_once_and_ignored(root):
    rows = [f"{i},{p},3.5,{label(p)},x" for i, p in enumerate(PATHS)]
    said = "columns not read: id, duration, splt (did you mean split?)"
    assert_same(root, "\n".join(["id,audio,duration,label,splt", *rows]), said)
    (root / "clips.csv").unlink()
    lines = [json.dumps({"audio": p, "label": label(p), "id": i}) for i, p in enumerate(PATHS)]
    assert_same(root, "\n".join(lines), "columns not read: id", "clips.jsonl")


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("audio,lable", "unknown column 'lable'"),
        ("audio,class", "no column label, only class"),
        ("audoi,label", "unknown column 'audoi'"),
        ("path,label", "no column audio or image or video, only path"),
        ("x,y", "cannot read .* no column label"),
    ],
)
def test_a_column_that_is_needed_and_is_not_there_is_one_message(root, header, said):
    with pytest.raises(DataError, match=said) as caught:
        listed(root, "\n".join([header, *(f"{p},{label(p)}" for p in PATHS)]))
    assert "\n" not in caught.value.message and caught.value.hint


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_encodings_and_delimiters_of_spreadsheets_are_read(root, encoding, delimiter):
    rows = [delimiter.join((p, label(p))) for p in PATHS]
    text = "\r\n".join([delimiter.join(("Audio", " LABEL ")), *rows])
    assert_same(root, text.encode(encoding))
    if encoding == "utf-8":
        assert_same(root, f"sep={delimiter}\r\n{text}")
    (root / "clips.csv").write_bytes(codecs.BOM_UTF16_BE + text.encode("utf-16-be"))
    assert len(folder.pairs(root, path=str(root))) == 8


def test_a_decimal_comma_is_a_decimal_point(root):
    rows = [f"{p};{label(p)};22,5" for p in PATHS]
    found = listed(root, "\n".join(["audio;label;azimuth", *rows]))
    assert {clip.azimuth_deg for clip in found} == {22.5}


def test_trailing_delimiters_and_blank_rows_are_nothing(root):
    rows = [f"{p},{label(p)},," for p in PATHS]
    assert_same(root, "\n".join(["audio,label,,", *rows, ",,,", "", " , ,,"]))
    assert_same(root, "\n".join(["audio,label", *rows]))
    assert_same(root, "\n".join(["", "audio,label,", *(row.rstrip(",") for row in rows)]))
    with pytest.raises(DataError, match=r"clips\.csv:2: not as many fields"):
        listed(root, f"audio,label\n{PATHS[0]},dog,,x\n")


def test_an_index_of_pandas_is_no_column(root):
    rows = [f"{i},{p},{label(p)}" for i, p in enumerate(PATHS)]
    assert_same(root, "\n".join([",audio,label", *rows]), "columns not read: one without a name")
    said = "columns not read: Unnamed: 0"
    assert_same(root, "\n".join(["Unnamed: 0,audio,label", *rows]), said)


@pytest.mark.parametrize("name", ["clips.csv", "clips.jsonl"])
@pytest.mark.parametrize("blank", [" ", "\u200b", "\u00a0", ""])
def test_a_blank_label_is_an_error(root, blank, name):
    pairs = [(p, label(p) if i < 6 else blank) for i, p in enumerate(PATHS)]
    csv = ["audio,label", *(f"{p},{x}" for p, x in pairs)]
    lines = csv if name == "clips.csv" else [json.dumps({"audio": p, "label": x}) for p, x in pairs]
    first = lines.index(next(line for line in lines if PATHS[6] in line)) + 1
    with pytest.raises(DataError, match=rf"{name}:{first}: no label"):
        listed(root, "\n".join(lines), name)


def test_a_label_that_is_absent_in_pandas_way_or_no_word_is_an_error(root):
    lines = [json.dumps({"audio": p, "label": label(p)}) for p in PATHS]
    lines[3] = json.dumps({"audio": PATHS[3], "label": float("nan")})
    with pytest.raises(DataError, match=r"clips\.jsonl:4: no label"):
        listed(root, "\n".join(lines), "clips.jsonl")
    lines[3] = json.dumps({"audio": PATHS[3], "label": ["dog"]})
    with pytest.raises(DataError, match=r"clips\.jsonl:4: label is not text"):
        listed(root, "\n".join(lines), "clips.jsonl")


@pytest.mark.parametrize(
    ("one", "other"),
    [("cat", "Cat"), ("caf\u00e9", "cafe\u0301"), ("cat", "cat\u200b"), ("0", "0.0")],
)
def test_labels_that_are_one_in_two_spellings_are_an_error_that_names_both(root, one, other):
    names = [one, "dog", other, "dog"]
    rows = [f"{p},{names[i % 4]}" for i, p in enumerate(PATHS)]
    with pytest.raises(DataError) as caught:
        listed(root, "\n".join(["audio,label", *rows]))
    said = caught.value.message
    assert "clips.csv: two names for what may be one class" in said
    assert ascii(one)[1:-1] in said and ascii(other)[1:-1] in said


@pytest.mark.parametrize("split", ["", ",test"])
@pytest.mark.parametrize("again", ["{0}", "./{0}", "{root}/{0}"])
def test_one_pair_with_two_labels_is_an_error_that_names_both_rows(root, split, again):
    head = "audio,image,label,split" if split else "audio,image,label"
    pair = [(p, p.replace(".wav", ".png")) for p in PATHS]
    rows = [f"{a},{b},{label(a)}{split}" for a, b in pair]
    sound, picture = (again.format(path, root=root) for path in pair[0])
    text = "\n".join([head, *rows, f"{sound},{picture},rain{split}"])
    with pytest.raises(DataError) as caught:
        listed(root, text)
    said = r"clips.csv:10: the pair of line 2 with another label: 'rain', not 'dog'"
    assert said in caught.value.message
    with pytest.raises(DataError, match=r"clips\.csv:10: the clip of line 2 again"):
        listed(root, text[: text.rindex("rain")] + f"dog{split}")


def test_what_every_row_does_wrong_is_said_once_with_its_first_line_and_the_count(root):
    rows = [f"{p.removesuffix('.wav')},{label(p)},sometimes" for p in PATHS]
    with pytest.raises(DataError) as caught:
        listed(root, "\n".join(["audio,label,split", *rows]))
    kind, split = caught.value.message.splitlines()
    assert "clips.csv:2: audio 'dog x/0' is not of a kind" in kind and "all 8 rows" in kind
    assert "clips.csv:2: split 'sometimes' is none of train" in split and "all 8 rows" in split
    rows = [f"{p},{label(p)},{'' if i < 3 else 'bad'}" for i, p in enumerate(PATHS)]
    with pytest.raises(DataError) as caught:
        listed(root, "\n".join(["audio,label,azimuth", *rows]))
    (line,) = caught.value.message.splitlines()
    assert "clips.csv:5: " in line and "in 4 more of 8 rows" in line


def test_paths_that_begin_elsewhere_are_one_message(root):
    rows = [f"sub/{p},{label(p)}" for p in PATHS]
    with pytest.raises(DataError) as caught:
        listed(root, "\n".join(["audio,label", *rows]))
    (line,) = caught.value.message.splitlines()
    assert "clips.csv:2: sub/dog x/0.wav: no such file (and so in all 8 rows)" in line
    assert "relative to data.path" in caught.value.hint
