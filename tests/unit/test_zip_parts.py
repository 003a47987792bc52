"""A split zip is read as one: as Info-ZIP writes it, as the specification allows it."""

import random
import shutil
import struct
import subprocess
import zipfile

import pytest

from pipelines.download import archives, zip_parts
from pipelines.errors import DataError

draw = random.Random(7)
# the third is large enough to stand in three parts
FILES = {
    "mic_dev/split1_ir0_ov1_1.wav": draw.randbytes(40_000),
    "mic_dev/empty.wav": b"",
    "mic_dev/split1_ir0_ov1_2.wav": draw.randbytes(150_000),
    "mic_dev/text.csv": b"cough,0.366,1.334,-10,-10,2\n" * 999,
    "mic_dev/split4_ir4_ov2_50.wav": draw.randbytes(70_000),
}


def read_all(parts):
    with zip_parts.open_joined(parts) as joined, zipfile.ZipFile(joined) as opened:
        assert opened.testzip() is None  # every member's CRC, by Python's own zipfile
        return {name: opened.read(name) for name in opened.namelist() if not name.endswith("/")}


def cut_by_the_specification(folder, at, *, wide=False):
    """Cut a zip after each of these bytes as PKWARE's APPNOTE says: marker, disk numbers, offsets.

    wide: every number that may stand in a 64-bit field stands there (4.3.14, 4.3.15, 4.5.3).
    """
    whole = folder / "whole"
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in FILES.items():
            made.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    with zipfile.ZipFile(whole) as made:
        infos, begin = made.infolist(), made.start_dir
    starts = [0, *at]

    def place(offset):  # 4 bytes later, for the marker stands first
        disk = max(i for i, start in enumerate(starts) if start <= offset + 4)
        return disk, offset + 4 - starts[disk]

    directory = b""
    for info in infos:
        disk, offset = place(info.header_offset)
        name, numbers = info.filename.encode(), (info.compress_size, info.file_size)
        extra = b"\x99\x99\x02\x00ab"  # somebody's own, to be left alone
        if wide:
            extra += struct.pack("<2H3QI", 1, 28, numbers[1], numbers[0], offset, disk)
            numbers, disk, offset = (0xFFFFFFFF,) * 2, 0xFFFF, 0xFFFFFFFF
        numbers_and_sizes = [
            45, 45, 0, info.compress_type, 0, 33, info.CRC, *numbers,
            len(name), len(extra), 0, disk, 0, 0, offset,
        ]  # fmt: skip
        directory += struct.pack("<4s6H3I5H2I", b"PK\1\2", *numbers_and_sizes) + name + extra
    disk, offset = place(begin)
    last, count, end = len(at), len(infos), b""
    if wide:
        end_disk, end_offset = place(begin + len(directory))
        end = struct.pack(
            "<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, last, disk, count, count, len(directory), offset
        )
        end += struct.pack("<4sIQI", b"PK\6\7", end_disk, end_offset, last + 1)
        end += struct.pack("<4s4H2IH", b"PK\5\6", *[0xFFFF] * 4, *[0xFFFFFFFF] * 2, 3) + b"bye"
    else:
        end = (
            struct.pack("<4s4H2IH", b"PK\5\6", last, disk, count, count, len(directory), offset, 3)
            + b"bye"
        )
    content = b"PK\7\x08" + whole.read_bytes()[:begin] + directory + end
    whole.unlink()
    edges = [*starts, len(content)]
    names = [f"a.z{n + 1:02}" for n in range(last)] + ["a.zip"]
    parts = [folder / name for name in names]
    for part, a, b in zip(parts, edges, edges[1:], strict=False):
        part.write_bytes(content[a:b])
    return parts


@pytest.mark.skipif(shutil.which("zip") is None, reason="needs Info-ZIP's zip")
def test_what_info_zip_splits_is_read_whole(tmp_path):
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    subprocess.run(["zip", "-q", "-r", "-s", "64k", "a.zip", "mic_dev"], cwd=tmp_path, check=True)
    parts = [*sorted(tmp_path.glob("a.z[0-9]*")), tmp_path / "a.zip"]
    assert len(parts) == 4
    assert read_all(parts) == FILES


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize(
    "at",
    [[50_000], [40_100], [44_000, 100_000, 160_000], [200_000, 262_000], [50_000, 262_300]],
)
def test_what_the_specification_says_is_read_whole(tmp_path, at, wide):
    assert read_all(cut_by_the_specification(tmp_path, at, wide=wide)) == FILES


def test_random_cuts_even_through_headers_are_read_whole(tmp_path):
    size = sum(part.stat().st_size for part in cut_by_the_specification(tmp_path, [9]))
    for _ in range(20):
        # an end record must not be cut: it says how many parts there are
        at = sorted(draw.sample(range(1, size - 200), 3))
        assert read_all(cut_by_the_specification(tmp_path, at)) == FILES


def test_a_zip_that_was_only_cut_is_chained(tmp_path):
    with zipfile.ZipFile(tmp_path / "a", "w") as made:
        for name, content in FILES.items():
            made.writestr(name, content)
    content = (tmp_path / "a").read_bytes()
    parts = [tmp_path / f"a.zip.00{n}" for n in (1, 2, 3)]
    for number, part in enumerate(parts):
        part.write_bytes(content[number * 100_000 : (number + 1) * 100_000])
    assert read_all(parts) == FILES


def test_offsets_beyond_4_gib_are_kept(tmp_path):
    """A split zip needs no 64-bit fields where its parts are small; the whole one does."""
    *_, last = parts = cut_by_the_specification(tmp_path, [50_000, 190_000])
    gap = 5 << 30
    with parts[1].open("r+b") as file:  # a hole: it takes no disk
        file.truncate(gap)
    with zip_parts.open_joined([*parts[:2], last]) as joined, zipfile.ZipFile(joined) as opened:
        far = [info for info in opened.infolist() if info.header_offset > gap]
        assert far and all(opened.read(info) == FILES[info.filename] for info in far)


def unpack(parts, **more):
    limits = {"max_bytes": 400_000, "max_files": 5, "folder": "mic_dev"} | more
    return archives.extract(parts, parts[0].parent / "out", **limits)


def test_a_split_archive_comes_out_as_a_folder(tmp_path):
    parts = cut_by_the_specification(tmp_path, [50_000, 200_000])
    assert unpack(parts) == 5
    for name, content in FILES.items():
        assert (tmp_path / "out" / name.removeprefix("mic_dev/")).read_bytes() == content
    assert len(list(tmp_path.iterdir())) == 4  # three parts and the folder


@pytest.mark.parametrize("lacking", [0, 1, 2])
def test_a_missing_part_is_said(tmp_path, lacking):
    parts = cut_by_the_specification(tmp_path, [50_000, 200_000])
    del parts[lacking]
    with pytest.raises(DataError, match=r"3 parts, of which 2 are here|last part is not here"):
        unpack(parts)
    assert not (tmp_path / "out").exists()


def test_parts_in_the_wrong_order_or_cut_short_are_refused(tmp_path):
    parts = cut_by_the_specification(tmp_path, [50_000, 200_000])
    with pytest.raises(DataError, match="not a whole"):
        unpack([parts[1], parts[0], parts[2]])
    parts[0].write_bytes(parts[0].read_bytes()[:-1])
    with pytest.raises(DataError, match=r"not a whole|points outside"):
        unpack(parts)


def test_bounds_hold_for_split_archives_too(tmp_path):
    parts = cut_by_the_specification(tmp_path, [50_000])
    with pytest.raises(DataError, match="more than the 100 bytes"):
        unpack(parts, max_bytes=100)
    with pytest.raises(DataError, match="more than the 4 files"):
        unpack(parts, max_files=4)


@pytest.mark.parametrize("wide", [False, True])
def test_flipped_bits_in_the_directory_end_in_our_error_or_in_the_right_bytes(tmp_path, wide):
    parts = cut_by_the_specification(tmp_path, [50_000, 200_000], wide=wide)
    last, failed = parts[-1].read_bytes(), 0
    begin = last.index(b"PK\1\2")
    for _ in range(60):
        data = bytearray(last)
        data[draw.randrange(begin, len(data))] ^= 1 << draw.randrange(8)
        parts[-1].write_bytes(data)
        try:
            unpack(parts)
        except DataError:
            failed += 1
        else:
            shutil.rmtree(tmp_path / "out")
        assert not (tmp_path / "out").exists()
    assert failed > 10
