"""The user's own files: what is read of them is what is in the key, and nothing beside it."""

import json
import os
import shutil
import time
from pathlib import Path

import pytest

from pipelines.clips import content, in_place
from pipelines.datasets import cifar10_sounds, folder, urbansound8k
from pipelines.datasets._cifar10 import CLASSES
from pipelines.errors import DataError
from tests import published
from tests.unit.test_folder import HEADER, by_id, listed, png, rows, table, two, wav

__all__ = ["two"]


@pytest.fixture(autouse=True)
def home(tmp_path_factory, monkeypatch):
    own = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("AVSNN_HOME", str(own))
    return own


def outside(root: Path) -> Path:
    """Make a folder of clips beside the user's."""
    other = root.parent / f"{root.name}-outside"
    for i in range(4):
        wav(other / f"{i}.wav", 0.1 * i + 0.1)
        png(other / f"{i}.png")
    return other


def touched(root):
    os.utime(root / "dog/1.wav", ns=(1, 1))


def copied(root):
    shutil.copy(root / "dog/1.wav", root / "dog/new")
    (root / "dog/new").replace(root / "dog/1.wav")


def notes(root):
    for name in (
        "README.txt",
        "dog/README",
        "loose.wav",
        ".git/x.wav",
        "dog/.git/x.wav",
        "__MACOSX/dog/1.wav",
        "dog/.1.wav",
        ".hidden/1.wav",
    ):
        wav(root / "x.wav")
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "x.wav").replace(root / name)


@pytest.mark.parametrize("change", [touched, copied, notes])
@pytest.mark.parametrize("is_table", [False, True])
def test_what_changes_nothing_that_is_read_changes_no_key(two, change, is_table):
    if is_table:
        table(two, *rows())
    before, clips = folder.in_place(two), listed(two)
    change(two)
    assert folder.in_place(two) == before and listed(two) == clips


def rewritten(root):
    """As long as it was, and with the time it had."""
    path = root / "dog/1.wav"
    then = path.stat()
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    os.utime(path, ns=(then.st_atime_ns, then.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (then.st_size, then.st_mtime_ns)
    return "dog/1.wav has changed"


def added(root):
    wav(root / "dog/99.wav")
    png(root / "dog/99.png")
    return "dog/99.png is new, dog/99.wav is new"


def renamed(root):
    for kind in ("wav", "png"):
        (root / f"dog/2.{kind}").rename(root / f"dog/98.{kind}")
    return "dog/98.png is new, dog/98.wav is new, dog/2.png is gone or left out and 1 more"


def emptied(root):
    (root / "dog/2.png").write_bytes(b"")
    return "dog/2 is left out now, dog/2.png is gone or left out, dog/2.wav is gone or left out"


@pytest.mark.parametrize("change", [rewritten, added, renamed, emptied])
@pytest.mark.parametrize("settled", [False, True])
def test_what_is_read_differently_changes_the_key_and_is_named(two, monkeypatch, change, settled):
    if settled:  # what was hashed is kept at once
        monkeypatch.setattr(content, "SETTLED_NS", -(10**9))
    before = folder.in_place(two)
    time.sleep(0.02)  # a tick of the file system's clock
    said = change(two)
    assert in_place.differences(before.files, folder.in_place(two).files) == said


def test_the_key_holds_the_sha256_of_what_is_read(two):
    table(two, *rows())
    # printf abc | sha256sum
    (two / "dog/0.wav").write_bytes(b"abc")
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert folder.in_place(two).files["dog/0.wav"] == digest
    assert set(folder.in_place(two).files) == {
        "clips.csv",
        *(f"{x}/{i}.{kind}" for x in ("dog", "rain") for i in range(4) for kind in ("wav", "png")),
    }
    (two / "clips.csv").write_text(HEADER + "\n".join(rows()).replace("rec1", "rec0"))
    assert folder.in_place(two).files["clips.csv"] != digest


def test_a_file_is_read_once_and_again_only_when_it_may_have_changed(two, monkeypatch, home):
    monkeypatch.setattr(content, "SETTLED_NS", -(10**9))
    read = []
    hashed = content.hash_file
    monkeypatch.setattr(content, "hash_file", lambda *a: read.append(a[0].name) or hashed(*a))
    before = folder.in_place(two)
    assert len(read) == 40
    assert folder.in_place(two) == before and len(read) == 40
    touched(two)
    assert folder.in_place(two) == before and len(read) == 41
    (kept,) = (home / "seen").iterdir()
    said = json.loads(kept.read_text())
    said["files"]["dog/2.wav"][3] = "0" * 64  # by a bad disk: hashed anew, not believed
    kept.write_text(json.dumps(said))
    assert folder.in_place(two) == before and len(read) == 81
    for damage in ("", "[]", "{", "null", '{"files": 3}'):
        kept.write_text(damage)
        assert folder.in_place(two) == before


def test_a_file_that_was_just_written_is_not_believed_by_its_times(two, home):
    folder.in_place(two)
    (kept,) = (home / "seen").glob("*") if (home / "seen").exists() else (None,)
    assert kept is None or json.loads(kept.read_text())["files"] == {}


def test_classes_and_their_counts_are_in_the_key(two):
    assert folder.in_place(two).classes == {"dog": 10, "rain": 10}
    for i in range(3):
        wav(two / "cat" / f"{i}.wav")
        png(two / "cat" / f"{i}.png")
    assert folder.in_place(two).classes == {"cat": 3, "dog": 10, "rain": 10}
    table(two, *rows())
    assert folder.in_place(two).classes == {"dog": 4, "rain": 4}


def test_an_empty_class_folder_is_refused_whatever_asks(two):
    (two / "cat").mkdir()
    for ask in (folder.in_place, folder.classes, listed):
        with pytest.raises(DataError, match="cat holds no sound"):
            ask(two)


def class_inside(root):
    (root / ".store").mkdir()
    (root / "rain").rename(root / ".store/rain")
    (root / "rain").symlink_to(".store/rain")


def folder_inside(root):
    (root / "rain").rename(root / ".rain")
    (root / "rain").mkdir()
    (root / "rain/more").symlink_to("../.rain")


@pytest.mark.parametrize("link", [class_inside, folder_inside])
def test_a_linked_folder_inside_is_read_and_what_is_behind_it_is_in_the_key(two, link):
    link(two)
    clips = listed(two)
    assert len(clips) == 20 and not any(clip.excluded for clip in clips)
    before = folder.in_place(two)
    assert len(before.files) == 40
    source = next(clip.audio for clip in clips if clip.label == 1)
    wav(Path(os.path.realpath(two / source)), 0.7)
    assert in_place.differences(before.files, folder.in_place(two).files) == f"{source} has changed"


def test_a_class_folder_that_leaves_the_folder_is_named(two):
    (two / "cat").symlink_to(outside(two))
    with pytest.raises(DataError, match=r"cat \(0\)\n  cat/: is a link that leaves the folder"):
        listed(two)


def test_a_folder_that_leaves_the_folder_is_left_out_counted_and_named(two):
    (two / "dog/more").symlink_to(outside(two))
    clips = listed(two)
    (bad,) = (clip for clip in clips if clip.excluded)
    assert (bad.id, bad.excluded) == ("dog/more/", "is a link that leaves the folder")
    assert len(clips) == 21
    before = folder.in_place(two)
    assert before.files["dog/more/"] == bad.excluded
    wav(outside(two) / "9.wav")  # not read, so of no account
    assert folder.in_place(two) == before


def test_a_tree_that_leaves_the_folder_is_named(two, tmp_path_factory):
    root = tmp_path_factory.mktemp("trees")
    (root / "audio").symlink_to(two)
    with pytest.raises(DataError, match="audio is a link that leaves the folder"):
        listed(root)


def test_a_link_in_a_circle_is_left_out_and_named(two):
    (two / "dog/again").symlink_to("../dog")
    (two / "rain/up").symlink_to("..")
    assert {clip.id: clip.excluded for clip in listed(two) if clip.excluded} == {
        "dog/again/": "is a link to a folder around it",
        "rain/up/": "is a link to a folder around it",
    }


@pytest.mark.parametrize("name", ["link.wav", "linked/1.wav"])
def test_a_table_follows_no_link_out_of_the_folder(two, name):
    """The rule of class folders: a file that leaves, or stands behind a folder that does."""
    (two / "link.wav").symlink_to(outside(two) / "1.wav")
    (two / "linked").symlink_to(outside(two))
    (two / "inside.wav").symlink_to("dog/9.wav")
    clips = listed(table(two, *rows(), f"{name},,dog,,train,,", "inside.wav,,dog,,train,,"))
    (bad,) = (clip for clip in clips if clip.excluded)
    assert bad.audio == name and bad.excluded == f"{name}: is a link that leaves the folder"
    before = folder.in_place(two)
    wav(two / "dog/9.wav", 0.9)
    changed = in_place.differences(before.files, folder.in_place(two).files)
    assert changed == "inside.wav has changed"


LATIN = os.fsdecode(b"caf\xe9")
ODD = "a\u2028b\u0085c\x0bd\x1ce"


@pytest.mark.parametrize("where", ["dog/{}.wav", "dog/{}/1.wav"])
def test_a_name_that_is_not_utf8_excludes_its_clip(two, where):
    path = two / where.format(LATIN)
    path.parent.mkdir(exist_ok=True)
    shutil.copy(two / "dog/1.wav", path)
    clips = listed(two)
    (bad,) = (clip for clip in clips if clip.excluded)
    assert bad.id == where.removesuffix(".wav").format("caf\\xe9")
    assert bad.excluded == "its name is not UTF-8"
    json.dumps([clip.id for clip in clips], ensure_ascii=False).encode()
    assert folder.in_place(two).files[bad.id] == bad.excluded


def test_a_class_that_is_not_utf8_is_named(two):
    (two / LATIN).mkdir()
    shutil.copy(two / "dog/1.wav", two / LATIN)
    with pytest.raises(DataError, match=r"caf\\xe9 \(0\)\n  caf\\xe9/1: its name is not UTF-8"):
        listed(two)


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_table_names_files_with_any_sign_in_them(two, kind):
    wav(two / f"{ODD}.wav")
    lines, header = [*rows(), f'"{ODD}.wav",,dog,,train,,'], HEADER
    if kind == "jsonl":
        names = [("dog", f"dog/{i}.wav") for i in range(4)] + [("dog", f"{ODD}.wav")]
        names += [("rain", f"rain/{i}.wav") for i in range(4)]
        lines = [json.dumps({"label": x, "audio": y}, ensure_ascii=False) for x, y in names]
        header = ""
    clips = listed(table(two, *lines, header=header, name=f"clips.{kind}"))
    assert len(clips) == 9 and not any(clip.excluded for clip in clips)
    assert f"{ODD}.wav" in by_id(clips) or any(clip.audio == f"{ODD}.wav" for clip in clips)


def test_half_a_pair_of_utf16_in_a_table_excludes_its_clip(two):
    lines = [
        json.dumps({"label": x, "audio": f"{x}/{i}.wav"}) for x in ("dog", "rain") for i in range(4)
    ]
    lines.append('{"label": "dog", "audio": "dog/\\ud800.wav"}')
    clips = listed(table(two, *lines, header="", name="clips.jsonl"))
    (bad,) = (clip for clip in clips if clip.excluded)
    bad.audio.encode()
    assert "no such file" in bad.excluded


def sounds(root):
    for label, name in enumerate(CLASSES):
        for i in range(3):
            published.wav(root / name / f"{i}.wav", seed=10 * label + i)
    return cifar10_sounds, {"audio_folder": str(root)}, "cat/1.wav"


def pictures(root):
    for label, name in enumerate(urbansound8k.CLASSES):
        for i in range(3):
            published.png(root / name / f"{i}.png", 10 * label + i)
    return urbansound8k, {"images": str(root)}, "siren/1.png"


def test_a_folder_whose_own_name_is_not_utf8_is_refused_by_name(two, monkeypatch):
    (two / LATIN / "mine").mkdir(parents=True)
    monkeypatch.chdir(two / LATIN)
    with pytest.raises(DataError, match=r"caf\\xe9/mine: its name is not UTF-8"):
        in_place.user_folder("mine", "path")


@pytest.mark.parametrize("make", [sounds, pictures])
def test_of_other_folders_too_only_what_is_read_counts(tmp_path, make):
    """Sounds for CIFAR-10's images, and images for UrbanSound8K's sounds."""
    module, settings, name = make(tmp_path / "own")
    root, before = tmp_path / "own", module.in_place(tmp_path, **settings)
    assert len(before.files) == 30
    os.utime(root / name, ns=(1, 1))
    for stray in (
        "README.txt",
        ".git/x",
        f"{name}.txt",
        f"{Path(name).parent}/._1.wav",
        f"{Path(name).parent}/._1.png",
        "__MACOSX/x",
    ):
        (root / stray).parent.mkdir(exist_ok=True)
        (root / stray).write_bytes(b"x")
    assert module.in_place(tmp_path, **settings) == before
    (root / name).write_bytes(b"other")
    bad = root / Path(name).parent / f"{LATIN}{Path(name).suffix}"
    bad.write_bytes(b"other")
    now = module.in_place(tmp_path, **settings)
    shown = str(bad).replace(LATIN, "caf\\xe9")
    assert in_place.differences(before.files, now.files) == (
        f"{root / name} has changed, {shown} is left out now"
    )


def test_a_sound_or_an_image_that_is_not_utf8_is_left_out_and_named(tmp_path, monkeypatch):
    monkeypatch.setattr(cifar10_sounds, "BATCH_ROWS", 30)
    published.cifar10_binary(tmp_path / cifar10_sounds.BINARY, 30)
    published.urbansound8k(tmp_path, recordings=1)
    for make, bad in ((sounds, f"cat/{LATIN}.wav"), (pictures, f"siren/{LATIN}.png")):
        module, settings, _ = make(tmp_path / make.__name__)
        (tmp_path / make.__name__ / bad).write_bytes(b"x")
        settings |= {"protocol": "paper"} if make is sounds else {}
        clips = module.pairs(tmp_path, **settings)
        (out,) = (clip for clip in clips if clip.excluded)
        assert "caf\\xe9" in out.id and out.excluded == "its name is not UTF-8"
        assert not any(LATIN in clip.audio + clip.visual for clip in clips)
