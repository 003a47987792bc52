"""UrbanSound8K in its two forms: protocols, pairing with images, and what is wrong with a table."""

import csv
import shutil
import sys
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from pipelines.clips import leaks
from pipelines.datasets import (
    _urbansound,
    _urbansound_metadata,
    urbansound8k,
    urbansound8k_av,
)
from pipelines.disk import store
from pipelines.errors import DataError
from pipelines.plan.plan import plan_data
from pipelines.recipe import recipe as recipes
from tests import published

PROTOCOLS = ["paper-7:3", "authors-order", "official-folds", "grouped-fsid"]


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    raw = tmp_path_factory.mktemp("us8k")
    published.urbansound8k(raw)
    return raw


@pytest.fixture
def raw(original, tmp_path):
    shutil.copytree(original, tmp_path / "raw")
    return tmp_path / "raw"


@pytest.fixture
def pictures(tmp_path):
    for label, name in enumerate(_urbansound.CLASSES):
        for i in range(20):
            published.png(tmp_path / "pictures" / name / f"{i}.png", 100 * label + i)
    return tmp_path / "pictures"


def sides(clips, of):
    found = defaultdict(set)
    for clip in clips:
        found[clip.split].add(of(clip))
    return found


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_protocol_uses_every_slice_once_and_depends_on_the_seed_alone(original, protocol):
    clips = urbansound8k.pairs(original, protocol=protocol)
    assert len({clip.id for clip in clips}) == len(clips) == 600
    assert clips == urbansound8k.pairs(original, protocol=protocol)
    assert Counter(clip.label for clip in clips) == dict.fromkeys(range(10), 60)
    share = Counter(clip.split for clip in clips)["test"] / 600
    assert share == pytest.approx(0.1 if protocol == "official-folds" else 0.3, abs=0.02)


def test_official_folds_stay_whole(original):
    for test_fold in (1, 10):
        clips = urbansound8k.pairs(original, test_fold=test_fold)
        folds = sides(clips, lambda clip: int(clip.audio.split("/fold")[1].split("/")[0]))
        assert folds["test"] == {test_fold}
        assert folds["validation"] == {test_fold % 10 + 1}
        assert len(folds["train"]) == 8


def test_grouped_shares_no_recording_and_random_does(original):
    shared = {
        protocol: leaks.audit(urbansound8k.pairs(original, protocol=protocol))
        for protocol in ("grouped-fsid", "paper-7:3")
    }
    assert shared["grouped-fsid"]["shared"]["group"] == 0
    assert shared["grouped-fsid"]["overlapping_in_time"] == 0
    # two slices a recording, the second from 2 s on: they overlap where they are apart at all,
    # which has odds 0.7 for each test slice
    random = shared["paper-7:3"]
    assert random["shared"]["group"] == random["overlapping_in_time"]
    assert random["shared"]["group"] / random["test"] == pytest.approx(0.7, abs=0.12)


def test_the_authors_order_is_that_of_sorted_names(original):
    clips = urbansound8k.pairs(original, protocol="authors-order")
    for label in range(10):
        ordered = sorted((clip for clip in clips if clip.label == label), key=lambda c: c.id)
        assert [clip.split == "test" for clip in ordered] == [False] * 42 + [True] * 18


def test_images_are_paired_by_class_and_stand_on_one_side(original, pictures):
    clips = urbansound8k.pairs(original, images=str(pictures))
    for clip in clips:
        assert clip.visual.startswith(f"{pictures}/{_urbansound.CLASSES[clip.label]}/")
    found = sides(clips, lambda clip: clip.visual)
    assert sum(map(len, found.values())) == len(set.union(*found.values()))
    assert len(set.union(*found.values())) > 150  # 200 there are; few are left unused
    assert urbansound8k.image(original, clips[0].visual).shape == (12, 12, 3)


def test_ten_other_classes_stand_in_only_if_asked(original, pictures):
    (pictures / "siren").rename(pictures / "zebra")
    with pytest.raises(DataError, match="zebra") as caught:
        urbansound8k.pairs(original, images=str(pictures))
    assert "images_by: order" in caught.value.hint
    clips = urbansound8k.pairs(original, images=str(pictures), images_by="order")
    assert {c.visual.split("/")[-2] for c in clips if c.label == 9} == {"zebra"}


@pytest.mark.parametrize("there", ["missing", "a file"])
def test_images_that_are_no_folder_are_one_line(original, tmp_path, there):
    (tmp_path / "a file").write_text("")
    with pytest.raises(DataError, match="is not a folder"):
        urbansound8k.pairs(original, images=str(tmp_path / there))


def test_too_few_images_are_one_line(original, pictures):
    for path in sorted((pictures / "siren").iterdir())[2:]:
        path.unlink()
    with pytest.raises(DataError, match="siren has 2 images for 3 splits"):
        urbansound8k.pairs(original, images=str(pictures))


def test_a_slice_without_its_file_is_excluded_and_a_part_can_be_used(raw):
    gone = raw / "UrbanSound8K/audio/fold3/3100-1-0-0.wav"
    gone.unlink()
    clips = {clip.id: clip for clip in urbansound8k.pairs(raw)}
    assert [clip.id for clip in clips.values() if clip.excluded] == ["3100-1-0-0"]
    assert len(urbansound8k.pairs(raw, present_only=True)) == 599


@pytest.fixture
def tables(monkeypatch):
    """The script that puts a part of the set where its download would have put the whole."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    import tables

    yield tables
    for name in ("tables", "array_peak"):
        sys.modules.pop(name)


RAW = "raw/urbansound8k/1"


def clips_key(*settings):
    recipe = recipes.load_recipe(recipes.find("urbansound8k/spikformer_audio"), settings)
    return plan_data(recipe).clips.name


def test_more_files_make_other_clips_where_those_that_are_there_are_used(original):
    whole, part = clips_key(), clips_key("data.present_only=true")
    shutil.copytree(original, store.home() / RAW)
    file = store.home() / RAW / "UrbanSound8K/audio/fold3/3100-1-0-0.wav"
    file.rename(file.with_suffix(".away"))
    before = clips_key("data.present_only=true")
    assert before == clips_key("data.present_only=true")
    file.with_suffix(".away").rename(file)
    after = clips_key("data.present_only=true")
    assert len({whole, part, before, after}) == 4
    file.write_bytes(b"")  # names alone are looked at: a plan is made in no time
    assert clips_key("data.present_only=true") == after
    assert clips_key() == clips_key("data.present_only=false") == whole


def test_a_whole_set_has_the_key_that_it_had_before_its_download():
    before = clips_key("data.present_only=true")
    for stem, fold in _urbansound.folds().items():
        file = store.home() / RAW / f"UrbanSound8K/audio/fold{fold}/{stem}.wav"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    assert clips_key("data.present_only=true") == before
    file.unlink()
    assert clips_key("data.present_only=true") != before


def test_a_copy_that_did_not_end_is_not_taken_for_the_sample(raw, tables):
    unreadable = raw / "UrbanSound8K/audio/fold3/3100-1-0-0.wav"
    content = unreadable.read_bytes()
    unreadable.unlink()
    unreadable.symlink_to(raw / "nowhere")
    with pytest.raises(shutil.Error):
        tables.put_in_place(raw)
    assert not list((store.home() / RAW).iterdir())
    unreadable.unlink()
    unreadable.write_bytes(content)
    tables.put_in_place(raw)
    tables.put_in_place(raw)
    assert urbansound8k.pairs(store.home() / RAW) == urbansound8k.pairs(raw)


ROW = ["100032-3-0-0.wav", "100032", "0.0", "0.3", "1", "5", "3", "dog_bark"]


def edited(column, value):
    row = list(ROW)
    row[column] = value
    return row


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (edited(0, "../x.wav"), "not the name of a slice"),
        (edited(0, "100032-3-0-0.mp3"), "not the name of a slice"),
        (edited(1, "abc"), "no number"),
        (edited(2, "soon"), "could not convert"),
        (edited(2, "nan"), "no time span"),
        (edited(3, "0.0"), "no time span"),
        (edited(3, "inf"), "no time span"),
        (edited(5, "11"), "do not exist together"),
        (edited(5, "0"), "do not exist together"),
        (edited(5, "5.0"), "invalid literal"),
        (edited(6, "10"), "do not exist together"),
        (edited(6, "-1"), "do not exist together"),
        (edited(7, "dog"), "do not exist together"),
        # the name says another recording, another class, or nothing
        (edited(0, "100033-3-0-0.wav"), "no slice of recording 100032 and class 3"),
        (edited(0, "100032-4-0-0.wav"), "no slice of recording 100032 and class 3"),
        (edited(1, "0100032"), "no slice of recording 0100032"),
        (edited(0, "dog.wav"), "not the name of a slice"),
        (ROW[:4], "invalid literal"),
        (["1000-0-0-0.wav", *ROW[1:]], "twice"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_row_is_named(raw, row, reason):
    metadata = raw / urbansound8k.CSV
    with metadata.open("a", newline="") as file:
        csv.writer(file).writerow(row)
    with pytest.raises(DataError, match=reason) as caught:
        urbansound8k.pairs(raw)
    assert str(metadata) in caught.value.message
    assert "twice" in reason or f"{metadata}:602:" in caught.value.message


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "columns are None"),
        (b"a,b\n1,2\n", "its columns are"),
        (b"\xff\xfe\x00", "cannot read"),
        (",".join(_urbansound_metadata.COLUMNS).encode(), "lists no slice"),
    ],
    ids=["empty", "other columns", "not text", "no rows"],
)
def test_metadata_that_is_none_is_one_line(raw, content, reason):
    (raw / urbansound8k.CSV).write_bytes(content)
    with pytest.raises(DataError, match=reason):
        urbansound8k.pairs(raw)


# ---- UrbanSound8K-AV ----


@pytest.fixture(params=urbansound8k_av.LAYOUTS, ids="-".join)
def av(request, tmp_path):
    folder = tmp_path / urbansound8k_av.FOLDER / "UrbanSound8K-AV"
    published.urbansound8k_av(folder, request.param)
    return tmp_path, folder / request.param[0], folder / request.param[1]


def test_both_spellings_of_the_folders_pair_by_stem(av):
    raw, sounds, pictures = av
    clips = urbansound8k_av.pairs(raw)
    assert len(clips) == 60 and not any(clip.excluded for clip in clips)
    for clip in clips:
        name = _urbansound.CLASSES[clip.label]
        assert raw / clip.audio == sounds / name / f"{clip.id}.wav"
        assert raw / clip.visual == pictures / name / f"{clip.id}.jpg"
        assert clip.group == clip.id.split("-")[0]
        assert clip.label == int(clip.id.split("-")[1])
    assert leaks.audit(clips)["shared"]["group"] == 0


def test_the_fold_of_a_pair_is_the_official_one(av):
    clips = urbansound8k_av.pairs(av[0], protocol="official-folds", test_fold=4)
    # the stems are those of the published table, whose folds the file names of its index give
    assert {clip.split == "test" for clip in clips if _urbansound.folds()[clip.id] == 4} <= {True}
    assert all(_urbansound.folds()[c.id] == 5 for c in clips if c.split == "validation")


def test_what_makes_no_pair_is_excluded_with_its_reason(av):
    raw, sounds, pictures = av
    first = sorted((sounds / "siren").iterdir())[0]
    (pictures / "siren" / f"{first.stem}.jpg").unlink()
    published.png(pictures / "siren" / "holiday.jpg")
    published.wav(sounds / "siren" / "holiday.wav")
    second = sorted((sounds / "drilling").iterdir())[1]
    shutil.copy(
        pictures / "drilling" / f"{second.stem}.jpg", pictures / "drilling" / f"{second.stem}.png"
    )
    dog = sorted((sounds / "dog_bark").iterdir())[0]
    for tree, end in ((sounds, "wav"), (pictures, "jpg")):
        shutil.move(
            tree / "dog_bark" / f"{dog.stem}.{end}", tree / "car_horn" / f"{dog.stem}.{end}"
        )
    clips = urbansound8k_av.pairs(raw)
    assert {clip.id: clip.excluded for clip in clips if clip.excluded} == {
        f"siren/{first.stem}": "has 0 files as its image",
        "siren/holiday": "is not a slice of UrbanSound8K",
        f"drilling/{second.stem}": "has 2 files as its image",
        f"car_horn/{dog.stem}": "is a slice of dog_bark, not of car_horn",
    }
    assert sum(not clip.excluded for clip in clips) == 57


def test_a_class_folder_too_many_or_missing_is_one_line(av):
    raw, sounds, pictures = av
    (pictures / "holidays").mkdir()
    with pytest.raises(DataError, match="holidays"):
        urbansound8k_av.pairs(raw)
    (pictures / "holidays").rmdir()
    shutil.rmtree(sounds / "siren")
    with pytest.raises(DataError, match="siren"):
        urbansound8k_av.pairs(raw)


def test_two_copies_or_none_are_one_line(av, tmp_path):
    raw = av[0]
    shutil.copytree(
        raw / urbansound8k_av.FOLDER / "UrbanSound8K-AV", raw / urbansound8k_av.FOLDER / "copy"
    )
    with pytest.raises(DataError, match="several times"):
        urbansound8k_av.pairs(raw)
    (tmp_path / "empty" / urbansound8k_av.FOLDER).mkdir(parents=True)
    with pytest.raises(DataError, match="not there"):
        urbansound8k_av.pairs(tmp_path / "empty")
