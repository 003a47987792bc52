"""The list of a folder's files: every difference is found and named, whatever is in the folder."""

import hashlib
import subprocess

import pytest

from pipelines import registry
from pipelines.download.index import compare, make_index, read_index, tree_sha256, write_index
from pipelines.errors import DataError
from tests.unprivileged import unprivileged

# RFC 1321, A.5, and FIPS 180-2, B.1
ABC_MD5 = "900150983cd24fb0d6963f7d28e17f72"
ABC_SHA256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def table(tmp_path, *lines):
    path = tmp_path / "table.tsv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def folder(tmp_path):
    for name in ("fold1/a.wav", "fold1/b.wav", "fold2/c.wav"):
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / name).write_bytes(b"abc")
    return tmp_path / "set"


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("path\tmd5", f"\t{ABC_MD5}"),
        ("path\tbytes\tmd5", f"\t3\t{ABC_MD5}"),
        ("path\tbytes\tsha256", f"\t3\t{ABC_SHA256}"),
    ],
)
def test_each_kind_of_table_finds_what_is_missing_changed_or_extra(tmp_path, folder, header, row):
    names = ["fold1/a.wav", "fold1/b.wav", "fold2/c.wav", "fold2/d.wav"]
    index = read_index(table(tmp_path, header, *(name + row for name in names)))
    (folder / "fold1/b.wav").write_bytes(b"abd")
    (folder / "fold2/c.wav").write_bytes(b"abcd")
    (folder / "fold1/.DS_Store").write_bytes(b"")
    (folder / "link").symlink_to("fold1")
    discrepancies = compare(folder, index)
    assert [(discrepancy.kind, discrepancy.path) for discrepancy in discrepancies] == [
        ("changed", "fold1/b.wav"),
        ("changed", "fold2/c.wav"),
        ("missing", "fold2/d.wav"),
        ("extra", "fold1/.DS_Store"),
        ("extra", "link"),
    ]
    assert str(folder / "fold1/b.wav") in str(discrepancies[0])


def test_a_link_does_not_pass_for_the_file_it_points_to(folder):
    index = make_index(folder)
    (folder / "fold1/a.wav").unlink()
    (folder / "fold1/a.wav").symlink_to(folder / "fold1/b.wav")
    (discrepancy,) = compare(folder, index)
    assert discrepancy.kind == "changed" and "a link or a device" in str(discrepancy)


def test_the_tree_hash_is_that_of_sha256sum(tmp_path, folder):
    (folder / "é").write_bytes(b"abd")
    (folder / "a-").write_bytes(b"")
    (folder / "empty").mkdir()
    (folder / "link").symlink_to("é")
    listing = "find . -type f | sed 's|^./||' | xargs -d '\\n' sha256sum | awk '{print $2, $1}'"
    found = subprocess.run(
        f"{listing} | LC_ALL=C sort | sha256sum",
        shell=True,
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert tree_sha256(make_index(folder)) == found.stdout.split()[0]
    lines = sorted(f"{name} {ABC_SHA256}\n" for name in ("x", "y/z"))
    for name in ("x", "y/z"):
        (tmp_path / "two" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "two" / name).write_bytes(b"abc")
    by_definition = hashlib.sha256("".join(lines).encode()).hexdigest()
    assert tree_sha256(make_index(tmp_path / "two")) == by_definition


def test_a_written_table_reads_the_same(tmp_path, folder):
    made = make_index(folder)
    write_index(tmp_path / "made.tsv", made)
    assert read_index(tmp_path / "made.tsv") == made and made.total_bytes == 9
    assert compare(folder, made) == []


def test_a_name_with_signs_that_part_lines_elsewhere_stands_in_a_table(tmp_path, folder):
    (folder / "fold1/a\u2028b\u0085c.wav").write_bytes(b"abc")
    write_index(tmp_path / "mine.tsv", make_index(folder))
    assert compare(folder, read_index(tmp_path / "mine.tsv")) == []


def test_one_table_serves_several_folders(tmp_path):
    index = read_index(table(tmp_path, "path\tmd5", f"mic_dev/a\t{ABC_MD5}", f"meta/a\t{ABC_MD5}"))
    assert list(index.below("mic_dev").files) == ["a"]
    assert index.below("mic_dev").prefix == "mic_dev/"
    assert index.below("elsewhere") is index and index.prefix == ""
    assert index.total_bytes is None


@pytest.mark.parametrize(
    "lines",
    [
        [""],
        ["path"],
        ["path\tcrc32", "a\t0"],
        ["md5\tpath", f"{ABC_MD5}\ta"],
        ["path\tmd5", "a"],
        ["path\tmd5", f"a\t{ABC_MD5.upper()}"],
        ["path\tmd5", f"a\t{ABC_MD5}", f"a\t{ABC_MD5}"],
        ["path\tmd5", f"../a\t{ABC_MD5}"],
        ["path\tmd5", f"/a\t{ABC_MD5}"],
        ["path\tmd5", f"a//b\t{ABC_MD5}"],
        ["path\tmd5", f"a\\b\t{ABC_MD5}"],
        ["path\tbytes\tmd5", f"a\t-1\t{ABC_MD5}"],
        ["path\tbytes\tmd5", f"a\t\t{ABC_MD5}"],
        ["path\tbytes\tsha256", f"a\t3\t{ABC_MD5}"],
    ],
)
def test_a_damaged_table_is_refused_with_its_line(tmp_path, lines):
    with pytest.raises(DataError, match=r"table\.tsv:[123]: not"):
        read_index(table(tmp_path, *lines))


def test_names_that_no_table_holds_are_said(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "a\nb").write_bytes(b"")
    with pytest.raises(DataError, match="not a plain file name"):
        make_index(tmp_path / "set")


def test_a_file_that_cannot_be_read_is_said(folder):
    (folder / "fold1/a.wav").chmod(0)
    with unprivileged(folder), pytest.raises(DataError, match=r"a\.wav: cannot be read"):
        make_index(folder)


def test_every_bundled_table_reads():
    tables = sorted(registry.bundled("data_manifests").glob("*.tsv"))
    assert tables and all(read_index(path).files for path in tables)
