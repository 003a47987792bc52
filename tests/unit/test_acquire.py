"""Sources: from a mirror or a server, verified, whole or not there."""

import gzip
import hashlib
import io
import tarfile

import pytest

from pipelines.errors import DataError
from pipelines.sources import acquire, archives
from pipelines.sources.manifest import DatasetManifest, FileSource, FolderSource
from tests.unit.bad_server import Answer, BadServer

FILES = {"a.wav": b"aa", "b.wav": b"bbb"}
LABELS = gzip.compress(b"labels", 9)


def md5(content):
    return hashlib.md5(content).hexdigest()


def tree(tmp_path):
    folder = tmp_path / "tree"
    folder.mkdir(exist_ok=True)
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    return archives.tree_sha256(folder)


def manifest(
    tmp_path, file_url="https://nowhere.invalid/l.gz", archive_url="https://nowhere.invalid/t"
):
    return DatasetManifest(
        name="tiny", version="1", title="t", licence="l", citation="c", access="open",
        classes=("x", "y"), protocols={"official": "p"},
        files=(
            FileSource(path="set/labels.gz", urls=(file_url,), bytes=None, md5=md5(LABELS),
                       content_md5=md5(b"labels")),
        ),
        folders=(
            FolderSource(path="set/recordings", archive_urls=(archive_url,), archive_sha256=None,
                         archive_folder="recordings", files=2, bytes=5, tree_sha256=tree(tmp_path)),
        ),
    )  # fmt: skip


@pytest.fixture
def mirror(tmp_path):
    folder = tmp_path / "mirror" / "set"
    (folder / "recordings").mkdir(parents=True)
    (folder / "labels.gz").write_bytes(LABELS)
    for name, content in FILES.items():
        (folder / "recordings" / name).write_bytes(content)
    return tmp_path / "mirror"


def bring(found, mirror=None):
    return acquire.acquire(found, mirror=mirror, say=str)


def test_a_mirror_is_copied_and_verified(tmp_path, mirror):
    found = manifest(tmp_path)
    assert acquire.missing(found) == ["set/labels.gz", "set/recordings"]
    raw = bring(found, mirror)
    assert acquire.missing(found) == [] and acquire.check(found) == []
    assert (raw / "set/recordings/b.wav").read_bytes() == b"bbb"
    assert not list(raw.rglob("*.part"))


def test_the_mirror_may_come_from_the_environment(tmp_path, mirror, monkeypatch):
    monkeypatch.setenv("AVSNN_MIRROR", str(mirror))
    assert acquire.check(manifest(tmp_path)) != []
    bring(manifest(tmp_path))
    assert acquire.check(manifest(tmp_path)) == []


def test_a_recompressed_file_passes_by_its_content(tmp_path, mirror):
    (mirror / "set/labels.gz").write_bytes(gzip.compress(b"labels", 1, mtime=7))
    bring(manifest(tmp_path), mirror)


def test_a_wrong_file_names_itself_and_both_hashes_and_stays(tmp_path, mirror):
    wrong = gzip.compress(b"other")
    (mirror / "set/labels.gz").write_bytes(wrong)
    with pytest.raises(DataError) as caught:
        bring(manifest(tmp_path), mirror)
    for part in (str(mirror / "set/labels.gz"), md5(wrong), md5(LABELS)):
        assert part in caught.value.message
    assert caught.value.hint
    assert (mirror / "set/labels.gz").read_bytes() == wrong
    assert "set/labels.gz" in acquire.missing(manifest(tmp_path))


@pytest.mark.parametrize("damage", ["changed", "missing", "extra"])
def test_a_wrong_folder_is_refused_whole(tmp_path, mirror, damage):
    folder = mirror / "set/recordings"
    if damage == "missing":
        (folder / "a.wav").unlink()
    else:
        (folder / ("a.wav" if damage == "changed" else "c.wav")).write_bytes(b"zz")
    found = manifest(tmp_path)
    with pytest.raises(DataError, match="holds more" if damage == "extra" else "sha256 is"):
        bring(found, mirror)
    raw = acquire.raw_folder(found)
    assert not (raw / "set/recordings").exists() and not list(raw.rglob("*.part"))


def test_check_lists_everything_that_is_wrong(tmp_path, mirror):
    found = manifest(tmp_path)
    raw = bring(found, mirror)
    (raw / "set/labels.gz").write_bytes(b"flipped")
    (raw / "set/recordings/a.wav").write_bytes(b"ab")
    faults = acquire.check(found)
    assert len(faults) == 2 and "labels.gz" in faults[0] and "recordings" in faults[1]


def archive():
    """A .tar.gz as a forge makes it: everything under one folder with the commit's name."""
    content = io.BytesIO()
    members = {"README.md": b"hello", **{f"recordings/{n}": c for n, c in FILES.items()}}
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        for name, data in members.items():
            member = tarfile.TarInfo(f"set-26eb9aaf/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return content.getvalue()


def test_an_archive_is_downloaded_unpacked_and_verified(tmp_path):
    with BadServer().running() as server:
        content = archive()
        found = manifest(
            tmp_path,
            server.url("/labels.gz", Answer(LABELS, cut_after=9), Answer(LABELS)),
            server.url("/t.tar.gz", Answer(content)),
        )
        # the archive may be at most 8 times what the folder holds
        folder = found.folders[0].model_copy(update={"bytes": len(content)})
        raw = bring(found.model_copy(update={"folders": (folder,)}))
    assert (raw / "set/labels.gz").read_bytes() == LABELS
    assert sorted(p.name for p in (raw / "set/recordings").iterdir()) == ["a.wav", "b.wav"]
    assert not list(raw.rglob("*.archive"))


def test_no_source_anywhere_is_an_error_that_says_what_to_do(tmp_path):
    with BadServer().running() as server:
        gone = server.url("/x", Answer(status=404))
        with pytest.raises(DataError) as caught:
            bring(manifest(tmp_path, gone, gone))
    assert "labels.gz" in caught.value.message and "--from" in caught.value.hint


def test_a_mirror_that_is_no_folder_is_said(tmp_path):
    with pytest.raises(DataError, match="not a folder"):
        bring(manifest(tmp_path), tmp_path / "nowhere")
