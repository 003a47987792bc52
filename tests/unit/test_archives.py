import gzip
import io
import os
import random
import stat
import subprocess
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.download.archives import extract
from pipelines.errors import DataError

Members = dict[str, bytes]
CLIPS: Members = {
    "set/audio/a.wav": b"abc",
    "set/audio/b.wav": random.Random(1).randbytes(70_000),
    "set/visual/a.avi": b"",
    "set/readme.txt": b"read me\n",
}
TOTAL = sum(map(len, CLIPS.values()))


def tar(path: Path, members: Members, mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o4777
            archive.addfile(info, io.BytesIO(content))
    return path


def tgz(path: Path, members: Members) -> Path:
    return tar(path, members, "w:gz")


def zipped(path: Path, members: Members) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return path


def special(path: Path, **fields: object) -> Path:
    with tarfile.open(path, "w") as archive:
        info = tarfile.TarInfo("set/x")
        for name, value in fields.items():
            setattr(info, name, value)
        archive.addfile(info)
    return path


Maker = Callable[[Path, Members], Path]
every_kind = pytest.mark.parametrize("make", [tar, tgz, zipped])


def unpack(archive: Path, **options: object) -> Path:
    out = archive.parent / "out"
    limits = {"max_bytes": TOTAL, "max_files": len(CLIPS)}
    extract(archive, out, **{**limits, **options})  # type: ignore[arg-type]
    return out


def contents(folder: Path) -> Members:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def refused(archive: Path, match: str, **options: object) -> None:
    before = set(archive.parent.iterdir())
    with pytest.raises(DataError, match=match) as error:
        unpack(archive, **options)
    assert str(archive) in error.value.message
    assert error.value.hint
    assert set(archive.parent.iterdir()) == before


@every_kind
def test_an_archive_comes_out_whole_with_plain_permissions(tmp_path: Path, make: Maker) -> None:
    archive = make(tmp_path / "name-says-nothing", CLIPS)
    old = os.umask(0o077)
    try:
        count = extract(archive, tmp_path / "out", max_bytes=TOTAL, max_files=4)
    finally:
        os.umask(old)
    assert count == 4
    assert contents(tmp_path / "out") == CLIPS
    for path in [tmp_path / "out", *(tmp_path / "out").rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o755 if path.is_dir() else 0o644)
    assert set(tmp_path.iterdir()) == {archive, tmp_path / "out"}


@pytest.mark.parametrize("command", [["tar", "-cf"], ["tar", "-czf"]])
def test_what_the_system_s_tar_packs_comes_out(tmp_path: Path, command: list[str]) -> None:
    long = f"{'d' * 90}/{'e' * 90}/{'f' * 90}.wav"
    for name, content in {**CLIPS, long: b"long"}.items():
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(content)
    subprocess.run([*command, tmp_path / "a", "-C", tmp_path / "in", "."], check=True)
    assert contents(unpack(tmp_path / "a", max_files=5, max_bytes=TOTAL + 4)) == {
        **CLIPS,
        long: b"long",
    }


@every_kind
@pytest.mark.parametrize("top", ["", "set-26eb9aaf/"])
def test_a_folder_comes_out_from_the_top_or_from_below_a_forge_s_own(
    tmp_path: Path, make: Maker, top: str
) -> None:
    loose = {"loose": b"not wanted", "audio-2/c.wav": b"nor this", "other/set/audio/d.wav": b"nor"}
    archive = make(
        tmp_path / "a", {top + name: content for name, content in (CLIPS | loose).items()}
    )
    assert contents(unpack(archive, folder="set/audio", max_files=2)) == {
        "a.wav": b"abc",
        "b.wav": CLIPS["set/audio/b.wav"],
    }


@every_kind
def test_only_what_is_to_be_kept_comes_out(tmp_path: Path, make: Maker) -> None:
    archive = make(tmp_path / "a", CLIPS)
    out = unpack(
        archive, folder="set", keep={"readme.txt", "audio/a.wav"}, max_files=2, max_bytes=11
    )
    assert contents(out) == {"audio/a.wav": b"abc", "readme.txt": b"read me\n"}


@every_kind
def test_a_folder_that_is_not_there_is_an_error_that_says_what_is(
    tmp_path: Path, make: Maker
) -> None:
    refused(make(tmp_path / "a", CLIPS), "no file below 'labels', only 'set'", folder="labels")


@every_kind
@pytest.mark.parametrize(
    "name",
    [
        "/etc/x",
        "../x",
        "set/../../x",
        "set/..",
        "..\\x",
        "set\\x",
        "C:/x",
        "a\nb",
        "a\x1b[2Jb",
        "d/" * 33 + "x",
        "x" * 256,
    ],
)
def test_names_with_tricks_are_refused(tmp_path: Path, make: Maker, name: str) -> None:
    (tmp_path / "in").mkdir()
    archive = make(tmp_path / "in" / "a", {"set/good": b"1", name: b"2"})
    refused(archive, "relative path|leads out")
    assert list(tmp_path.iterdir()) == [tmp_path / "in"]


@pytest.mark.parametrize(
    ("hidden", "match"), [(b"set/\0x", "relative path"), (b"\0et/xx", "whole")]
)
def test_a_zip_name_with_nul_is_refused(tmp_path: Path, hidden: bytes, match: str) -> None:
    archive = zipped(tmp_path / "a", {"set/xx": b"1"})
    archive.write_bytes(archive.read_bytes().replace(b"set/xx", hidden))
    refused(archive, match)


def test_a_tar_name_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    archive = tar(tmp_path / "a", {"caf\udce9.wav": b"1"})
    refused(archive, "UTF-8")


@every_kind
@pytest.mark.parametrize("second", ["./set/a", "set/.//a", "set/a/b", "set/a/b/c", "set"])
def test_a_name_that_stands_twice_is_refused(tmp_path: Path, make: Maker, second: str) -> None:
    archive = make(tmp_path / "a", {"set/a": b"1", second: b"2"})
    refused(archive, "stands in it twice")


@pytest.mark.parametrize(
    "fields",
    [
        {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"},
        {"type": tarfile.SYMTYPE, "linkname": "inside"},
        {"type": tarfile.LNKTYPE, "linkname": "set/good"},
        {"type": tarfile.FIFOTYPE},
        {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3},
        {"type": tarfile.BLKTYPE},
        {"pax_headers": {"GNU.sparse.map": "0,0", "GNU.sparse.size": "9"}},
    ],
)
def test_links_devices_and_holes_are_refused(tmp_path: Path, fields: dict[str, object]) -> None:
    refused(special(tmp_path / "a", **fields), "link, a device or a sparse file")


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("set/link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    refused(tmp_path / "a", "link or a device")


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a", {"set/x": b"1"})
    data = bytearray(archive.read_bytes())
    # the flag word: 6 bytes into the local header, 8 into the central one (APPNOTE 4.3.7, 4.3.12)
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(data)
    refused(archive, "is encrypted$")


def test_a_zip_directory_that_points_before_the_file_is_refused(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a", {"set/x": b"1"})
    data = bytearray(archive.read_bytes())
    # the directory's offset: 16 bytes into the end record (APPNOTE 4.3.16)
    data[data.index(b"PK\x05\x06") + 17] = 9
    archive.write_bytes(data)
    refused(archive, "points outside|not a whole")


def test_other_compression_than_deflate_is_named(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("set/x", b"1")
    refused(tmp_path / "a", "method 14")


@every_kind
def test_the_declared_bytes_and_files_are_the_bounds(tmp_path: Path, make: Maker) -> None:
    archive = make(tmp_path / "a", CLIPS)
    refused(archive, f"more than the {TOTAL - 1} bytes", max_bytes=TOTAL - 1)
    refused(archive, "more than the 3 files", max_files=3)
    assert contents(unpack(archive)) == CLIPS


def test_a_zip_that_lies_about_a_size_writes_no_more_than_declared(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a", {"set/x": bytes(1 << 22)})
    true, told = (1 << 22).to_bytes(4, "little"), (10).to_bytes(4, "little")
    data = archive.read_bytes()
    assert data.count(true) == 2
    archive.write_bytes(data.replace(true, told))
    refused(archive, "not a whole", max_bytes=100)
    archive.write_bytes(data.replace(true, (1 << 30).to_bytes(4, "little")))
    refused(archive, "bytes declared", max_bytes=100)


def test_a_skipped_bomb_ends(tmp_path: Path) -> None:
    bomb = tgz(tmp_path / "a", {"skipped": bytes(20 << 20), "set/x": b"1"})
    refused(bomb, "far more than declared", folder="set", max_bytes=1)


def test_a_header_that_claims_gigabytes_is_not_read(tmp_path: Path) -> None:
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 4 << 30
    (tmp_path / "a").write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(10_240))
    refused(tmp_path / "a", "header claims")


def test_global_headers_do_not_pile_up(tmp_path: Path) -> None:
    headers = {f"k{index}": "v" for index in range(65)}
    with tarfile.open(tmp_path / "a", "w", pax_headers=headers) as archive:
        archive.addfile(tarfile.TarInfo("set/x"))
    refused(tmp_path / "a", "global headers")


def test_skipped_members_take_no_memory(tmp_path: Path) -> None:
    archive = tar(tmp_path / "a", {**{f"skipped/{n}": b"" for n in range(1000)}, "set/x": b"1"})
    tracemalloc.start()
    try:
        unpack(archive, folder="set")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # one at a time 0.3 MB, 1,000 TarInfo kept 0.7 MB
    assert peak < 500_000


def test_a_negative_size_does_not_loop(tmp_path: Path) -> None:
    info = tarfile.TarInfo("set/x")
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[124:136] = b"\xff" * 10 + b"\xfc\x00"  # base-256: -1024
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    (tmp_path / "a").write_bytes(bytes(header) + bytes(10_240))
    refused(tmp_path / "a", "backwards|header claims|not a whole")


@every_kind
def test_every_truncation_is_an_error(tmp_path: Path, make: Maker) -> None:
    archive = make(tmp_path / "a", CLIPS)
    whole = archive.read_bytes()
    # Of a tar's padding after the end mark nothing is missed.
    needed = max(len(whole.rstrip(b"\0")), 1) if make is tar else len(whole)
    draw = random.Random(2)
    for size in [0, 1, 511, 512, 1024, needed - 1, *(draw.randrange(needed) for _ in range(10))]:
        archive.write_bytes(whole[:size])
        refused(archive, "not a whole")


def test_a_tar_cut_between_two_files_is_an_error(tmp_path: Path) -> None:
    archive = tar(tmp_path / "a", {"a": bytes(512), "b": bytes(512)})
    archive.write_bytes(archive.read_bytes()[:1024])
    refused(archive, "no mark at its end")


@every_kind
def test_flipped_bits_end_in_an_error_of_ours_or_in_a_folder(tmp_path: Path, make: Maker) -> None:
    archive = make(tmp_path / "a", {name: content[:300] for name, content in CLIPS.items()})
    whole, draw = archive.read_bytes(), random.Random(3)
    failed = 0
    for index in range(30):
        data = bytearray(whole)
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        archive.write_bytes(data)
        out = tmp_path / str(index)
        try:
            extract(archive, out, max_bytes=TOTAL, max_files=4)
        except DataError:
            failed += 1
            assert not out.exists()
        assert not list(tmp_path.glob(".*"))
    assert failed > 5


def test_a_damaged_header_is_not_taken_for_the_end(tmp_path: Path) -> None:
    archive = tar(tmp_path / "a", {"a": b"1", "b": b"2"})
    data = bytearray(archive.read_bytes())
    data[1024 + 3] ^= 1
    archive.write_bytes(data)
    refused(archive, "no mark at its end")


def test_a_damaged_gzip_checksum_is_an_error(tmp_path: Path) -> None:
    archive = tgz(tmp_path / "a", {"a": b"1"})
    data = bytearray(archive.read_bytes())
    data[-8] ^= 1
    archive.write_bytes(data)
    refused(archive, "CRC")


@pytest.mark.parametrize(
    "content", [b"", b"plain text" * 100, gzip.compress(b"not a tar", mtime=0), b"7z"]
)
def test_what_is_no_archive_is_a_clear_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    refused(tmp_path / "a", "not a whole tar, tar.gz or zip")


def test_a_missing_archive_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        extract(tmp_path / "a", tmp_path / "out", max_bytes=1, max_files=1)


def test_a_destination_that_exists_is_left_alone(tmp_path: Path) -> None:
    archive = tar(tmp_path / "a", CLIPS)
    (tmp_path / "out").mkdir()
    with pytest.raises(DataError, match="exists already"):
        unpack(archive)
    assert not list((tmp_path / "out").iterdir())
