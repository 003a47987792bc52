"""Cache files: what is read is what was written, or one clear line says that it is not."""

import multiprocessing
import pickle
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from pipelines.cache.rows import Block, Rows, write
from pipelines.errors import DataError

SOURCES = [f"recordings/ü{i}.wav" for i in range(7)]


def values(dtype: str = "float16", rows: int = 7) -> np.ndarray:
    random = np.random.default_rng(5)
    return (random.normal(size=(rows, 1, 4, 6)) * 50).astype(dtype)


def block(numbers: list[int], data: np.ndarray, names: list[str] = SOURCES) -> Block:
    content, look = np.array(numbers, np.uint64), np.zeros(len(numbers), np.uint64)
    return Block([names[i] for i in numbers], data[numbers], content, look)


def written(path: Path, data: np.ndarray, order: list[list[int]] | None = None) -> Path:
    blocks = (block(numbers, data) for numbers in order or [[0, 1, 2], [3, 4, 5, 6]])
    write(path, len(SOURCES), data.shape[1:], data.dtype, blocks, {"key": "abc", "unit": "dB"})
    return path


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return written(tmp_path / "train.h5", values())


def refused(path: Path, said: str | None = None) -> str:
    """Read everything; return the one line, which names the file, that it ends in."""
    with pytest.raises(DataError, match=said) as caught, Rows(path) as rows:
        rows.all()
    assert str(path) in caught.value.message
    assert caught.value.hint
    return caught.value.message


def replaced(path: Path, name: str, make: Callable[[h5py.File], object]) -> Path:
    with h5py.File(path, "r+") as file:
        del file[name]
        make(file)
    return path


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float16", "float32"])
def test_what_is_written_comes_back_with_its_names_and_attributes(
    tmp_path: Path, dtype: str
) -> None:
    data = values(dtype)
    with Rows(written(tmp_path / "deep" / "train.h5", data)) as rows:
        assert len(rows) == 7
        assert rows.sources == SOURCES
        assert (rows.row_shape, rows.dtype) == ((1, 4, 6), np.dtype(dtype))
        assert rows.attributes == {"key": "abc", "unit": "dB"}
        assert rows.all().tobytes() == data.tobytes()
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["train.h5"]


def test_the_format_is_plain_hdf5_contiguous_with_the_crc_of_each_row(cache: Path) -> None:
    data = values()
    with h5py.File(cache) as file:
        assert file["rows"].chunks is None
        assert file["rows"].id.get_offset() is not None, "contiguous data has one place in the file"
        assert file["crc32"][()].tolist() == [zlib.crc32(row.tobytes()) for row in data]
        start = file["rows"].id.get_offset()
    assert cache.read_bytes()[start : start + data.nbytes] == data.tobytes()


def test_equal_input_gives_equal_bytes_in_whatever_blocks_it_comes(tmp_path: Path) -> None:
    data = values()
    first = written(tmp_path / "a.h5", data).read_bytes()
    assert written(tmp_path / "b.h5", data).read_bytes() == first
    other = written(tmp_path / "c.h5", data, [[0], [1, 2, 3, 4], [5, 6]])
    assert other.read_bytes() == first
    assert written(tmp_path / "d.h5", data + 1).read_bytes() != first


@pytest.mark.parametrize(
    "numbers", [[], [3], [6, 0, 3], [0, 1, 2, 3, 4, 5, 6], [2, 2, 1], range(7)]
)
def test_rows_come_in_the_order_asked(cache: Path, numbers: list[int]) -> None:
    with Rows(cache) as rows:
        assert np.array_equal(rows.read(numbers), values()[list(numbers)])


def test_a_closed_file_opens_again(cache: Path) -> None:
    rows = Rows(cache)
    rows.close()
    assert np.array_equal(rows.read([1]), values()[[1]])
    rows.close()


def test_a_failure_while_writing_leaves_no_file(tmp_path: Path) -> None:
    data = values()

    def blocks() -> Iterator[Block]:
        yield block([0, 1, 2], data)
        raise DataError("the fourth clip is damaged")

    with pytest.raises(DataError, match="fourth"):
        write(tmp_path / "train.h5", 7, (1, 4, 6), data.dtype, blocks(), {})
    assert list(tmp_path.iterdir()) == []


def test_sources_left_out_have_no_row_and_the_others_are_whole(tmp_path: Path) -> None:
    with Rows(written(tmp_path / "train.h5", values(), [[0, 2], [5]])) as rows:
        assert rows.sources == [SOURCES[i] for i in (0, 2, 5)]
        assert np.array_equal(rows.all(), values()[[0, 2, 5]])
        assert np.array_equal(rows.read([2, 0]), values()[[5, 0]])
        assert rows.content.tolist() == [0, 2, 5]


def test_a_cache_without_rows_is_not_published(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no rows"):
        write(tmp_path / "train.h5", 7, (1, 4, 6), np.dtype("f2"), [], {})
    assert list(tmp_path.iterdir()) == []


def test_a_name_is_kept_whatever_a_disk_takes_and_a_longer_one_refused(tmp_path: Path) -> None:
    one = np.ones((1, 1), "u1")
    for length, bytes_each in ((1, 200), (100, 200), (101, 202), (2048, 4096)):
        name, path = "ü" * length if length > 1 else "x" * 200, tmp_path / f"{length}.h5"
        write(path, 1, (1,), one.dtype, [block([0], one, [name])], {})
        assert Rows(path).sources == [name]
        with h5py.File(path) as file:
            assert file["source"].dtype.itemsize == bytes_each
    too_long = "x" * 4097
    with pytest.raises(DataError, match="longer than 4096 bytes"):
        write(tmp_path / "b.h5", 1, (1,), one.dtype, [block([0], one, [too_long])], {})


@pytest.mark.parametrize("bit", range(8))
def test_every_flipped_bit_of_a_row_is_found_and_named(cache: Path, bit: int) -> None:
    with h5py.File(cache) as file:
        start, size = file["rows"].id.get_offset(), values()[0].nbytes
    content = bytearray(cache.read_bytes())
    content[start + 4 * size + 3 * bit] ^= 1 << bit
    cache.write_bytes(content)
    message = refused(cache)
    assert "row 4" in message
    assert SOURCES[4] in message
    with Rows(cache) as rows:
        assert np.array_equal(rows.read([0, 6, 3, 5]), values()[[0, 6, 3, 5]]), "the rest is good"
        with pytest.raises(DataError, match="row 4"):
            rows.read([3, 4])


def test_a_flipped_bit_of_a_crc_is_found(cache: Path) -> None:
    with h5py.File(cache, "r+") as file:
        file["crc32"][2] = file["crc32"][2] ^ np.uint32(1 << 31)
    assert "row 2" in refused(cache)


def test_no_flipped_byte_gives_other_rows_or_a_traceback(cache: Path) -> None:
    content, data = cache.read_bytes(), values().tobytes()
    for place in range(0, len(content), 29):
        damaged = bytearray(content)
        damaged[place] ^= 0xFF
        cache.write_bytes(damaged)
        try:
            with Rows(cache) as rows:
                assert rows.all().tobytes() == data, f"byte {place}"
        except DataError as error:
            assert str(cache) in error.message


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.6, 0.999])
def test_a_truncated_file_is_one_line(cache: Path, share: float) -> None:
    content = cache.read_bytes()
    cache.write_bytes(content[: int(share * len(content))])
    refused(cache, "not readable")


def test_a_file_that_is_missing_or_not_hdf5_is_one_line(tmp_path: Path) -> None:
    assert "is missing" in refused(tmp_path / "no.h5")
    (tmp_path / "text.h5").write_text("a,b\n" * 1000)
    refused(tmp_path / "text.h5", "not readable")
    refused(tmp_path, "not readable")


def test_hdf5_of_another_making_is_one_line(tmp_path: Path, cache: Path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["rows"] = np.zeros(3)
    refused(tmp_path / "other.h5", "another format")
    with h5py.File(cache, "r+") as file:
        file.attrs["format"] = 3
    refused(cache, "another format")


def soft_link(file: h5py.File) -> None:
    file["elsewhere"] = values()
    file["rows"] = h5py.SoftLink("/elsewhere")


def external_link(file: h5py.File) -> None:
    with h5py.File(Path(file.filename).with_name("other.h5"), "w") as other:
        other["rows"] = values()
    file["rows"] = h5py.ExternalLink("other.h5", "/rows")


def virtual(file: h5py.File) -> None:
    file["elsewhere"] = values()
    layout = h5py.VirtualLayout((7, 1, 4, 6), "float16")
    layout[:] = h5py.VirtualSource(file["elsewhere"])
    file.create_virtual_dataset("rows", layout)


def external_storage(file: h5py.File) -> None:
    raw = Path(file.filename).with_name("secret.bin")
    raw.write_bytes(values().tobytes())
    file.create_dataset("rows", (7, 1, 4, 6), "float16", external=[(str(raw), 0, 7 * 48)])


def claimed(file: h5py.File) -> None:
    file.create_dataset("rows", (7, 1, 1 << 20, 1 << 20), "float16")


def claimed_in_chunks(file: h5py.File) -> None:
    file.create_dataset("rows", (7, 1, 1 << 20, 1 << 20), "float16", chunks=(1, 1, 64, 64))


def compressed(file: h5py.File) -> None:
    file.create_dataset("rows", data=np.zeros((7, 1, 1000, 1000)), compression="gzip")


def group(file: h5py.File) -> None:
    file.create_group("rows")


def nothing(file: h5py.File) -> None:
    del file


def scalar(file: h5py.File) -> None:
    file["rows"] = np.float16(1)


def empty(file: h5py.File) -> None:
    file["rows"] = h5py.Empty("float16")


@pytest.mark.parametrize(
    "make",
    [
        soft_link,
        external_link,
        virtual,
        external_storage,
        claimed,
        claimed_in_chunks,
        compressed,
        group,
        nothing,
        scalar,
        empty,
    ],
    ids=lambda make: make.__name__,
)
def test_rows_that_do_not_lie_in_the_file_are_refused(
    cache: Path, make: Callable[[h5py.File], None]
) -> None:
    refused(replaced(cache, "rows", make))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("rows", np.array([b"text"] * 7)),
        ("rows", np.ones(7, bool)),
        ("rows", np.ones(7, complex)),
        ("rows", np.zeros(7, [("a", "f4")])),
        ("crc32", np.zeros(7)),
        ("crc32", np.zeros((7, 2), np.uint32)),
        ("source", np.arange(7)),
        ("source", np.array([b"\xff\xfe"] * 7)),
        ("source", np.array([[b"a", b"b"]] * 7)),
    ],
)
def test_tables_of_another_kind_are_refused(cache: Path, name: str, content: np.ndarray) -> None:
    refused(replaced(cache, name, lambda file: file.create_dataset(name, data=content)))


def test_python_objects_and_text_of_any_length_are_refused(cache: Path) -> None:
    def make(file: h5py.File) -> None:
        file.create_dataset("source", data=SOURCES, dtype=h5py.string_dtype())

    refused(replaced(cache, "source", make), "no valid 'source'")


@pytest.mark.parametrize(
    ("name", "length"),
    [(name, n) for name in ("crc32", "source", "content", "look") for n in (6, 8, 0)]
    + [("rows", 6), ("rows", 0)],
)
def test_tables_of_different_lengths_are_refused(cache: Path, name: str, length: int) -> None:
    with h5py.File(cache) as file:
        content = np.resize(file[name][()], (length, *file[name].shape[1:]))
    refused(replaced(cache, name, lambda file: file.create_dataset(name, data=content)), "length")


def read_elsewhere(rows: Rows, numbers: list[int]) -> bytes:
    return rows.read(numbers).tobytes()


def test_a_pickled_cache_opens_again_in_another_process(cache: Path) -> None:
    with Rows(cache) as rows:
        rows.read([0])
        copy = pickle.loads(pickle.dumps(rows))
        assert np.array_equal(copy.all(), values())
        copy.close()
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            found = pool.apply(read_elsewhere, (rows, [6, 2]))
        assert found == values()[[6, 2]].tobytes()
        assert np.array_equal(rows.all(), values()), "and stays open here"


def read_into(queue: "multiprocessing.SimpleQueue[bytes]", rows: Rows) -> None:
    queue.put(rows.read([5]).tobytes())


def test_a_forked_process_opens_the_file_anew(cache: Path) -> None:
    fork = multiprocessing.get_context("fork")
    with Rows(cache) as rows:
        rows.read([0])
        queue = fork.SimpleQueue()
        process = fork.Process(target=read_into, args=(queue, rows))
        process.start()
        assert queue.get() == values()[[5]].tobytes()
        process.join(30)
        assert process.exitcode == 0
        assert np.array_equal(rows.all(), values())
