"""Sources: from a mirror or a server, verified, whole or not there."""

import gzip
import hashlib
import io
import json
import tarfile
import zipfile

import pytest

from pipelines import registry
from pipelines.disk import store
from pipelines.download import acquire
from pipelines.download.manifest import DatasetManifest, FileSource, FolderSource, TableSource
from pipelines.errors import DataError, MachineError
from tests.unit.bad_server import Answer, BadServer

FILES = {"a.wav": b"aa", "b.wav": b"bbb"}
LABELS = gzip.compress(b"labels", 9)
NOWHERE = "https://nowhere.invalid/x"


def md5(content):
    return hashlib.md5(content).hexdigest()


def sha256(content):
    return hashlib.sha256(content).hexdigest()


# the definition: sorted lines "<path> <sha256>"
TREE = sha256("".join(f"{name} {sha256(content)}\n" for name, content in FILES.items()).encode())


def dataset(**sources):
    return DatasetManifest(
        name="tiny",
        version="1",
        title="t",
        licence="l",
        citation="c",
        **{"access": "open", "classes": ("x", "y"), "protocols": {"official": "p"}} | sources,
    )


def file(url=NOWHERE, **more):
    return FileSource(path="set/labels.gz", urls=(url,), bytes=None, **more)


def folder(*archives, **more):
    archives = archives or (FileSource(path="t.tar.gz", urls=(NOWHERE,), bytes=None),)
    return FolderSource(
        **{"path": "set/recordings", "archives": archives, "archive_folder": "recordings"} | more
    )


def manifest(file_url=NOWHERE, archive_url=NOWHERE):
    packed = FileSource(path="t.tar.gz", urls=(archive_url,), bytes=None)
    return dataset(
        files=(file(file_url, md5=md5(LABELS), content_md5=md5(b"labels")),),
        folders=(folder(packed, files=2, bytes=5, tree_sha256=TREE),),
    )


@pytest.fixture
def tables(tmp_path, monkeypatch):
    """A folder of tables in place of the bundled one."""
    monkeypatch.setattr(registry, "bundled", lambda _: tmp_path)
    rows = "".join(f"recordings/{n}\t{len(c)}\t{md5(c)}\n" for n, c in FILES.items())
    (tmp_path / "tiny.tsv").write_text(f"path\tbytes\tmd5\n{rows}other/x\t1\t{'0' * 32}\n")


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


def test_a_mirror_is_copied_and_verified(mirror):
    found = manifest()
    assert acquire.missing(found) == ["set/labels.gz", "set/recordings"]
    raw = bring(found, mirror)
    assert acquire.missing(found) == [] and acquire.check(found) == []
    assert (raw / "set/recordings/b.wav").read_bytes() == b"bbb"
    assert not list(raw.rglob("*.part"))


def test_the_mirror_may_come_from_the_environment(mirror, monkeypatch):
    monkeypatch.setenv("AVSNN_MIRROR", str(mirror))
    assert acquire.check(manifest()) != []
    bring(manifest())
    assert acquire.check(manifest()) == []


def test_a_recompressed_file_passes_by_its_content(mirror):
    (mirror / "set/labels.gz").write_bytes(gzip.compress(b"labels", 1, mtime=7))
    bring(manifest(), mirror)


def test_a_wrong_file_names_itself_and_both_hashes_and_stays(mirror):
    wrong = gzip.compress(b"other")
    (mirror / "set/labels.gz").write_bytes(wrong)
    with pytest.raises(DataError) as caught:
        bring(manifest(), mirror)
    for part in (str(mirror / "set/labels.gz"), md5(wrong), md5(LABELS)):
        assert part in caught.value.message
    assert caught.value.hint
    assert (mirror / "set/labels.gz").read_bytes() == wrong
    assert "set/labels.gz" in acquire.missing(manifest())


@pytest.mark.parametrize("damage", ["changed", "missing", "extra"])
def test_a_wrong_folder_is_refused_whole(mirror, damage):
    folder = mirror / "set/recordings"
    if damage == "missing":
        (folder / "a.wav").unlink()
    else:
        (folder / ("a.wav" if damage == "changed" else "c.wav")).write_bytes(b"zz")
    found = manifest()
    with pytest.raises(DataError, match="holds more" if damage == "extra" else "sha256 is"):
        bring(found, mirror)
    raw = acquire.raw_folder(found)
    assert not (raw / "set/recordings").exists() and not list(raw.rglob("*.part"))


def test_check_names_every_file_that_is_wrong(mirror):
    raw = bring(manifest(), mirror)
    (raw / "set/labels.gz").write_bytes(b"flipped")
    (raw / "set/recordings/a.wav").write_bytes(b"ab")
    (raw / "set/recordings/b.wav").unlink()
    (raw / "set/recordings/c.wav").write_bytes(b"")
    discrepancies = acquire.check(manifest())
    assert [(discrepancy.kind, discrepancy.path) for discrepancy in discrepancies] == [
        ("changed", "set/labels.gz"),
        ("changed", "set/recordings/a.wav"),
        ("missing", "set/recordings/b.wav"),
        ("extra", "set/recordings/c.wav"),
    ]
    assert str(raw / "set/recordings/a.wav") in str(discrepancies[1])
    assert sha256(b"aa") in str(discrepancies[1])


def tar(top="set-26eb9aaf/", files=FILES):
    """A .tar.gz as a forge makes it: everything under one folder with the commit's name."""
    content = io.BytesIO()
    members = {"README.md": b"hello", **{f"recordings/{n}": c for n, c in files.items()}}
    with tarfile.open(fileobj=content, mode="w:gz") as made:
        for name, data in members.items():
            member = tarfile.TarInfo(f"{top}{name}")
            member.size = len(data)
            made.addfile(member, io.BytesIO(data))
    return content.getvalue()


def zipped(files):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as made:
        for name, data in files.items():
            made.writestr(name, data)
    return content.getvalue()


def holds(raw, files=FILES):
    found = {path.name: path.read_bytes() for path in (raw / "set/recordings").iterdir()}
    return found == files and not list(raw.rglob("*.part")) and not (raw / ".downloads").exists()


def test_an_archive_is_downloaded_unpacked_and_verified():
    with BadServer().running() as server:
        raw = bring(
            manifest(
                server.url("/labels.gz", Answer(LABELS, cut_after=9), Answer(LABELS)),
                server.url("/t.tar.gz", Answer(tar())),
            )
        )
    assert (raw / "set/labels.gz").read_bytes() == LABELS and holds(raw)
    assert acquire.check(manifest()) == []


@pytest.mark.parametrize("files", [{"a.wav": b"aa"}, FILES | {"a.wav": b"ab"}])
def test_an_archive_that_holds_something_else_is_refused_and_kept(files):
    with BadServer().running() as server:
        found = manifest(server.url("/l", Answer(LABELS)), server.url("/t", Answer(tar("", files))))
        with pytest.raises(DataError, match="sha256 is"):
            bring(found)
        raw = acquire.raw_folder(found)
        assert acquire.missing(found) == ["set/recordings"]
        assert (raw / ".downloads/t.tar.gz").exists() and not list(raw.rglob("*.part"))


def test_no_source_anywhere_is_an_error_that_says_what_to_do():
    with BadServer().running() as server:
        gone = server.url("/x", Answer(status=404))
        with pytest.raises(DataError) as caught:
            bring(manifest(gone, gone))
    assert "labels.gz" in caught.value.message and "--from" in caught.value.hint


def test_a_mirror_that_is_no_folder_is_said(tmp_path):
    with pytest.raises(DataError, match="not a folder"):
        bring(manifest(), tmp_path / "nowhere")


@pytest.mark.usefixtures("tables")
@pytest.mark.parametrize("place", ["set/recordings", "recordings", "."])
def test_a_folder_is_known_by_its_path_its_name_or_its_content(tmp_path, place):
    home = tmp_path / "mine" / place
    home.mkdir(parents=True)
    for name, content in (FILES | {"Thumbs.db": b"not listed"}).items():
        (home / name).write_bytes(content)
    indexed = dataset(folders=(folder(index="tiny.tsv", path="set/recordings"),))
    # the table's paths begin with recordings/, not with set/recordings/: they are the folder's own
    (tmp_path / "tiny.tsv").write_text(
        "path\tmd5\n" + "".join(f"{n}\t{md5(c)}\n" for n, c in FILES.items())
    )
    assert holds(bring(indexed, tmp_path / "mine")) and acquire.check(indexed) == []


def test_a_mirror_may_itself_be_the_folder(tmp_path):
    (tmp_path / "recordings").mkdir()
    for name, content in FILES.items():
        (tmp_path / "recordings" / name).write_bytes(content)
    assert holds(bring(dataset(folders=(folder(tree_sha256=TREE),)), tmp_path / "recordings"))


def test_a_mirror_may_hold_the_archive_under_its_name(tmp_path):
    (tmp_path / "t.tar.gz").write_bytes(tar())
    found = dataset(folders=(folder(tree_sha256=TREE),))
    assert holds(bring(found, tmp_path))
    assert (tmp_path / "t.tar.gz").exists()


def test_an_archive_of_a_mirror_that_differs_from_the_manifest_is_refused(tmp_path):
    (tmp_path / "t.tar.gz").write_bytes(tar())
    packed = FileSource(path="t.tar.gz", urls=(NOWHERE,), bytes=None, md5="0" * 32)
    with pytest.raises(DataError, match=f"md5 is {md5(tar())}"):
        bring(dataset(folders=(folder(packed),)), tmp_path)


BY_HAND = {"access": "account", "by_hand": "log in at https://x.invalid and download the zip"}


def account(**more):
    return dataset(
        folders=(FolderSource(path="set/recordings", holds=("vision",), **more),), **BY_HAND
    )


def test_a_step_by_hand_is_said_with_the_command_that_follows():
    with pytest.raises(DataError) as caught:
        bring(account())
    assert BY_HAND["by_hand"] in caught.value.message and caught.value.exit_code == 4
    assert "avsnn download tiny --from DIR" in caught.value.hint


@pytest.mark.parametrize("name", ["archive.zip", "anything.tar.gz", "x.tar", "UPPER.ZIP"])
def test_any_single_archive_is_taken_where_its_name_is_not_known(tmp_path, name):
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / name).write_bytes(zipped(FILES) if "zip" in name.lower() else tar(""))
    raw = bring(account(archive_folder="" if "zip" in name.lower() else "recordings"), tmp_path)
    assert holds(raw)


def test_two_archives_are_not_chosen_between(tmp_path):
    for name in ("a.zip", "b.zip"):
        (tmp_path / name).write_bytes(zipped(FILES))
    with pytest.raises(DataError, match=r"2 archives: a\.zip, b\.zip"):
        bring(account(), tmp_path)


def test_an_unpacked_copy_is_known_by_what_it_holds_and_links_are_not_followed(tmp_path):
    mine = tmp_path / "mine"
    (mine / "vision").mkdir(parents=True)
    (mine / "vision" / "a.png").write_bytes(b"png")
    (tmp_path / "secret").write_bytes(b"secret")
    (mine / "vision" / "b.png").symlink_to(tmp_path / "secret")
    (mine / "linked").symlink_to(tmp_path)
    said = []
    raw = acquire.acquire(account(), mirror=mine, say=said.append)
    found = [path for path in (raw / "set").rglob("*") if not path.is_dir()]
    assert [path.name for path in found] == ["a.png"] and "2 links" in said[0]


@pytest.mark.usefixtures("tables")
@pytest.mark.parametrize(
    ("damage", "said"), [("changed", "1 changed"), ("missing", "1 missing"), ("both", "2 missing")]
)
def test_a_copy_that_is_not_whole_is_refused_by_the_table(mirror, damage, said):
    for name in ("a.wav", "b.wav") if damage == "both" else ("b.wav",):
        (mirror / "set/recordings" / name).unlink()
    if damage == "changed":
        (mirror / "set/recordings/b.wav").write_bytes(b"BBB")
    indexed = dataset(folders=(folder(index="tiny.tsv", path="recordings"),))
    with pytest.raises(DataError, match=said) as caught:
        bring(indexed, mirror / "set")
    assert str(mirror / "set/recordings/b.wav") in caught.value.message
    assert "dataset: folder" in caught.value.hint
    assert acquire.missing(indexed) == ["recordings"]


@pytest.mark.usefixtures("tables")
def test_what_a_table_does_not_list_never_comes_out_of_the_archive():
    with BadServer().running() as server:
        url = server.url("/t", Answer(tar(files=FILES | {"c.wav": b"c" * 1000})))
        packed = FileSource(path="t.tar.gz", urls=(url,), bytes=None)
        indexed = dataset(folders=(folder(packed, index="tiny.tsv", path="recordings"),))
        raw = bring(indexed)
    assert sorted(path.name for path in (raw / "recordings").iterdir()) == sorted(FILES)
    assert acquire.check(indexed) == []


def test_an_unknown_hash_is_recorded_and_a_later_change_refused():
    first, second = b"first version", b"second version"
    with BadServer().running() as server:
        found = dataset(files=(file(server.url("/l", Answer(first), Answer(second))),))
        raw = bring(found)
        assert json.loads((raw / "recorded.json").read_text()) == {"set/labels.gz": sha256(first)}
        (raw / "set/labels.gz").write_bytes(second)
        assert [discrepancy.kind for discrepancy in acquire.check(found)] == ["changed"]
        (raw / "set/labels.gz").unlink()
        with pytest.raises(DataError) as caught:
            bring(found)
    assert sha256(first) in caught.value.message and sha256(second) in caught.value.message
    assert "recorded.json" in caught.value.hint and "--from" in caught.value.hint
    assert acquire.missing(found) == ["set/labels.gz"]


def test_a_record_that_is_gone_is_no_clean_bill_of_health():
    with BadServer().running() as server:
        found = dataset(files=(file(server.url("/l", Answer(b"content"))),))
        raw = bring(found)
        assert acquire.check(found) == []
        (raw / "recorded.json").unlink()
        (discrepancy,) = acquire.check(found)
    assert discrepancy.kind == "changed"
    assert "its sha256 is not in recorded.json" in discrepancy.message


@pytest.mark.parametrize("content", ["[]", "null", '{"a": 1}', "{", '"x"', "[" * 100_000])
def test_a_damaged_record_is_named_and_nothing_is_overwritten(content):
    with BadServer().running() as server:
        found = dataset(files=(file(server.url("/l", Answer(b"content"))),))
        raw = acquire.raw_folder(found)
        raw.mkdir(parents=True)
        (raw / "recorded.json").write_text(content)
        with pytest.raises(DataError, match=r"recorded\.json is damaged"):
            bring(found)
    assert (raw / "recorded.json").read_text() == content and acquire.missing(found)


def test_links_to_a_mirror_s_sources_are_followed_and_one_to_nowhere_is_named(mirror, tmp_path):
    """What a link gives is verified like the rest; a dead one was passed over in silence."""
    linked = tmp_path / "linked"
    (linked / "set").mkdir(parents=True)
    (linked / "set/labels.gz").symlink_to(mirror / "set/labels.gz")
    (linked / "set/recordings").symlink_to(mirror / "set/recordings")
    raw = bring(manifest(), linked)
    assert acquire.check(manifest()) == []
    assert not any(path.is_symlink() for path in raw.rglob("*"))
    for name, target in (
        ("labels.gz", "nowhere"),
        ("labels.gz", "labels.gz"),
        ("recordings", "no"),
    ):
        store.remove(raw)
        (linked / "set" / name).unlink()
        (linked / "set" / name).symlink_to(target)
        with pytest.raises(DataError, match=f"{name} is a link to {target}, which is not there"):
            bring(manifest(), linked)
        (linked / "set" / name).unlink()
        (linked / "set" / name).symlink_to(mirror / "set" / name)


def test_an_unknown_archive_and_its_content_are_recorded():
    with BadServer().running() as server:
        content = tar()  # once: gzip has the time in it
        url = server.url("/t", Answer(content), Answer(tar(files={"a.wav": b"aa"})))
        packed = FileSource(path="t.tar.gz", urls=(url,), bytes=None)
        found = dataset(folders=(folder(packed),))
        raw = bring(found)
        recorded = json.loads((raw / "recorded.json").read_text())
        assert recorded == {"t.tar.gz": sha256(content), "set/recordings": TREE}
        (raw / "set/recordings/a.wav").write_bytes(b"ab")
        (discrepancy,) = acquire.check(found)
        assert discrepancy.path == "set/recordings/a.wav"
        for path in (raw / "set/recordings").iterdir():
            path.unlink()
        (raw / "set/recordings").rmdir()
        with pytest.raises(DataError, match=r"t\.tar\.gz has changed"):
            bring(found)


def table_source(*prefixes, **more):
    return dataset(
        tables=(TableSource(path="recordings", index="tiny.tsv", url_prefixes=prefixes, **more),)
    )


@pytest.mark.usefixtures("tables")
def test_a_table_is_downloaded_file_by_file_with_one_progress():
    with BadServer().running() as server:
        for name, content in FILES.items():
            cut = Answer(content, cut_after=1)
            base = server.url(f"/v1/recordings/{name}", cut, Answer(content))
        server.url("/gone/recordings/a.wav", Answer(status=404))
        root = base.split("/v1/")[0]
        found, seen = table_source(f"{root}/gone/", f"{root}/v1/"), []
        raw = acquire.acquire(found, mirror=None, say=str, progress=lambda *s: seen.append(s))
    assert acquire.check(found) == [] and acquire.missing(found) == []
    assert {path.name: path.read_bytes() for path in (raw / "recordings").iterdir()} == FILES
    assert seen[-1] == (5, 5)


@pytest.mark.usefixtures("tables")
def test_a_table_with_one_bad_file_names_it_and_keeps_the_others(tmp_path):
    with BadServer().running() as server:
        root = server.url("/recordings/a.wav", Answer(b"aa")).split("/recordings")[0]
        server.url("/recordings/b.wav", Answer(b"BBB"))
        found = table_source(f"{root}/")
        with pytest.raises(DataError, match=r"b\.wav"):
            bring(found)
        assert acquire.missing(found) == ["recordings"]
        # what came is not asked for again; what a mirror has is not asked for at all
        (tmp_path / "mine/recordings").mkdir(parents=True)
        (tmp_path / "mine/recordings/b.wav").write_bytes(b"bbb")
        asked = len(server.requests)
        raw = bring(found, tmp_path / "mine")
        assert len(server.requests) == asked
    assert {path.name: path.read_bytes() for path in (raw / "recordings").iterdir()} == FILES


def huge(**more):
    return FileSource(path="huge.bin", urls=(NOWHERE,), bytes=1 << 60, md5="0" * 32, **more)


def test_a_disk_that_is_too_small_is_said_with_both_numbers_before_anything_is_fetched():
    found = dataset(files=(huge(),))
    with pytest.raises(MachineError, match=rf"needs {(1 << 60) + (1 << 30)} bytes.* has \d+ free"):
        bring(found)
    assert not acquire.raw_folder(found).exists()


def test_the_size_is_what_is_known_and_says_whether_that_is_all():
    known = FileSource(path="a", urls=(NOWHERE,), bytes=2_500_000, md5="0" * 32)
    packed = FileSource(path="t.zip", urls=(NOWHERE,), bytes=1_000_000)
    whole = acquire.size(dataset(files=(known,), folders=(folder(packed, bytes=3_000_000),)))
    assert (str(whole.download), str(whole.kept)) == ("3.5 MB", "5.5 MB")
    assert whole.needed.bytes == 6_500_000 and whole.needed.is_whole
    part = acquire.size(dataset(files=(known, huge(), file()), folders=(folder(),)))
    assert str(part.download) == f"at least {((1 << 60) + 2_500_000) / 1e9:.1f} GB"
    assert str(acquire.size(dataset(folders=(folder(),))).kept) == "unknown"
    assert str(acquire.size(dataset()).kept) == "0 MB"
