"""A Zenodo record: its own list is asked for, checked, kept and held to; what it lists arrives."""

import hashlib
import io
import itertools
import json
import zipfile

import pytest

from pipelines.download import acquire
from pipelines.download.manifest import DatasetManifest, RecordSource
from pipelines.download.record_list import parse
from pipelines.download.records import groups
from pipelines.errors import DataError
from tests.unit.bad_server import Answer, BadServer

API = "https://zenodo.invalid/api/records/5211296"


def md5(content):
    return hashlib.md5(content).hexdigest()


def zipped(files):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as made:
        for name, data in files.items():
            made.writestr(name, data)
    return content.getvalue()


FILES = {
    "bells.zip": zipped({"bells/1.wav": b"ding", "README": b"same"}),
    "ring.zip": zipped({"ring/1.wav": b"ring", "README": b"same"}),
    "list of sounds.txt": b"bells, ring",
}
UNPACKED = {
    "bells/1.wav": b"ding",
    "ring/1.wav": b"ring",
    "README": b"same",
    "list of sounds.txt": b"bells, ring",
}


def entry(name, content, url="https://zenodo.invalid/x", **more):
    return {
        "id": "0",
        "key": name,
        "size": len(content),
        "checksum": f"md5:{md5(content)}",
        "links": {"self": url},
    } | more


def listing(server, files=FILES):
    """The answer of the API in its published form, with an address on this server for each file."""
    entries = []
    for number, (name, content) in enumerate(files.items()):
        url = server.url(f"/api/files/{number}/content", Answer(content))
        entries.append(entry(name, content, url))
    return Answer(json.dumps({"id": 5211296, "metadata": {}, "files": entries}).encode())


def manifest(api=API):
    return DatasetManifest(
        name="tiny",
        version="1",
        title="t",
        licence="l",
        citation="c",
        access="open",
        classes=("x", "y"),
        protocols={"official": "p"},
        records=(RecordSource(path="sounds", api=api),),
    )


def bring(found, mirror=None):
    return acquire.acquire(found, mirror=mirror, say=str)


def contents(folder):
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_a_record_s_files_arrive_unpacked_and_verified():
    with BadServer().running() as server:
        found = manifest(server.url("/api/records/1", listing(server)))
        assert str(acquire.size(found).download) == "unknown"
        raw = bring(found)
    assert contents(raw / "sounds") == UNPACKED
    assert acquire.missing(found) == [] and acquire.check(found) == []
    assert not (raw / ".downloads").exists() and not list(raw.rglob("*.part"))
    assert acquire.size(found).download.bytes == sum(map(len, FILES.values()))
    (raw / "sounds/bells/1.wav").write_bytes(b"dong")
    (discrepancy,) = acquire.check(found)
    assert (discrepancy.kind, discrepancy.path) == ("changed", "sounds/bells/1.wav")


def remove(folder):
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folder.rmdir()


def test_a_record_that_lists_something_else_later_is_refused():
    with BadServer().running() as server:
        first = listing(server)
        changed = listing(server, {"bells.zip": FILES["ring.zip"], "new.txt": b""})
        listing(server)
        found = manifest(server.url("/api/records/1", first, changed))
        raw = bring(found)
        remove(raw / "sounds")
        with pytest.raises(DataError) as caught:
            bring(found)
    for part in ("gone list of sounds.txt, ring.zip", "new new.txt", "changed bells.zip"):
        assert part in caught.value.message
    assert "record.json" in caught.value.hint and acquire.missing(found) == ["sounds"]


def test_where_the_record_does_not_answer_the_kept_list_holds():
    with BadServer().running() as server:
        gone = Answer(status=404)
        found = manifest(server.url("/api/records/1", listing(server), gone))
        raw = bring(found)
        remove(raw / "sounds")
        assert contents(bring(found) / "sounds") == UNPACKED


def test_a_file_with_another_md5_than_listed_is_refused():
    with BadServer().running() as server:
        found = manifest(server.url("/api/records/1", listing(server)))
        wrong = FILES["bells.zip"][:-1] + b"!"
        server.url("/api/files/0/content", Answer(wrong))
        with pytest.raises(DataError, match=md5(wrong)):
            bring(found)
    assert acquire.missing(found) == ["sounds"]


def test_what_arrived_before_an_interrupt_is_not_asked_for_again():
    with BadServer().running() as server:
        found = manifest(server.url("/api/records/1", listing(server)))
        server.url("/api/files/2/content", Answer(status=404), Answer(FILES["list of sounds.txt"]))
        with pytest.raises(DataError, match="404"):
            bring(found)
        bring(found)
        asked = [path for path, _ in server.requests]
    assert contents(acquire.raw_folder(found) / "sounds") == UNPACKED
    assert asked.count("/api/files/0/content") == 1


@pytest.mark.parametrize("packed", [True, False])
def test_without_a_network_the_files_or_the_unpacked_folder_are_taken(tmp_path, packed):
    for name, content in (FILES if packed else UNPACKED).items():
        (tmp_path / "sounds" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "sounds" / name).write_bytes(content)
    raw = bring(manifest(), tmp_path)
    assert contents(raw / "sounds") == UNPACKED and acquire.check(manifest()) == []
    assert contents(tmp_path / "sounds") == (FILES if packed else UNPACKED)


def test_archives_that_disagree_about_a_file_are_refused(tmp_path):
    (tmp_path / "sounds").mkdir()
    for name, content in (("a.zip", b"1"), ("b.zip", b"2")):
        (tmp_path / "sounds" / name).write_bytes(zipped({"README": content}))
    with pytest.raises(DataError, match="different files README"):
        bring(manifest(), tmp_path)
    assert not (acquire.raw_folder(manifest()) / "sounds").exists()


def test_the_parts_of_split_zips_belong_together():
    names = ["b.zip", "a.z02", "a.zip", "a.z01", "a.txt", "c.tar.gz", "a.z10", "A.TGZ", "z01"]
    archives, others = groups(names)
    assert archives == [["A.TGZ"], ["a.z01", "a.z02", "a.z10", "a.zip"], ["b.zip"], ["c.tar.gz"]]
    assert others == ["a.txt", "z01"]


GOOD = entry("a", b"abc")


@pytest.mark.parametrize(
    "content",
    [
        None,
        [],
        {},
        "files",
        {"files": {}},
        {"files": []},
        {"files": [None]},
        {"files": [[]]},
        {"files": [{}]},
        {"files": [GOOD, GOOD]},
        {"files": [GOOD | {"size": 1 << 39}] * 10_001},
        {"files": [entry(str(n), b"", size=1 << 39) for n in range(3)]},
        *(
            {"files": [GOOD | {"key": key}]}
            for key in (
                "",
                ".",
                "..",
                "../x",
                "/x",
                "a/../b",
                "a\\b",
                "a\nb",
                "C:x",
                5,
                None,
                ".hidden",
                "a//b",
                "\ud800",
                "x" * 300,
            )
        ),
        *({"files": [GOOD | {"size": size}]} for size in (-1, 1.5, "3", True, None, 1 << 60)),
        *(
            {"files": [GOOD | {"checksum": text}]}
            for text in (md5(b""), "md5:", "sha1:" + "0" * 40, f"md5:{md5(b'')}\n", None, 3)
        ),
        *(
            {"files": [GOOD | {"links": links}]}
            for links in (
                None,
                {},
                {"self": None},
                {"self": "file:///etc/passwd"},
                {"self": "http://zenodo.invalid/x"},
                {"self": "https://a b"},
                {"self": "https://[x"},
                {"self": "https://x/" + "y" * 3000},
            )
        ),
    ],
    ids=itertools.count(),
)
def test_a_hostile_list_is_refused_in_words(content):
    with pytest.raises(DataError) as caught:
        parse(content, API)
    assert caught.value.message.startswith(API) and len(caught.value.message) < 500


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[" * 100_000, b'{"files": 1', "{}".encode("utf-16"), b"\xff"]
)
def test_an_answer_that_is_no_list_is_refused_in_words(body):
    with BadServer().running() as server:
        found = manifest(server.url("/api/records/1", Answer(body)))
        with pytest.raises(DataError, match="no list of files"):
            bring(found)


def test_an_endless_answer_is_not_read():
    with BadServer().running() as server:
        found = manifest(server.url("/api/records/1", Answer(b"{", claim=1 << 40)))
        with pytest.raises(DataError, match="more bytes than it may"):
            bring(found)
