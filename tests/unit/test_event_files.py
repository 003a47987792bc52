"""Event files: what is in them is what comes back, and a damaged one is one line."""

import h5py
import numpy as np
import pytest

from pipelines.errors import DataError
from pipelines.readers.aedat import read_aedat2
from pipelines.readers.nmnist import read_nmnist
from pipelines.readers.ntidigits import read_labels, read_spikes
from tests import published

X, Y, P, T = published.random_events(3, 34)
X128, Y128, P128, T128 = published.random_events(4, 128)


def same(events, x, y, p, t):
    for found, wanted in zip(
        (events.x, events.y, events.p, events.t_us), (x, y, p, t), strict=True
    ):
        np.testing.assert_array_equal(found, wanted)


@pytest.fixture
def aedat(tmp_path):
    published.aedat2(tmp_path / "a.aedat", X128, Y128, P128, T128)
    return tmp_path / "a.aedat"


@pytest.fixture
def nmnist(tmp_path):
    published.nmnist(tmp_path / "a.bin", X, Y, P, T)
    return tmp_path / "a.bin"


def test_an_event_of_aedat2_is_the_documented_word(tmp_path):
    """jAER's DVS128 word: bit 0 polarity, bits 1-7 x, bits 8-14 y; big-endian, then µs."""
    word = (100 << 8 | 5 << 1 | 1).to_bytes(4, "big") + (70_000).to_bytes(4, "big")
    (tmp_path / "a.aedat").write_bytes(b"#!AER-DAT2.0\r\n" + word)
    same(read_aedat2(tmp_path / "a.aedat"), [5], [100], [1], [70_000])


def test_an_event_of_n_mnist_is_the_documented_40_bits(tmp_path):
    """x, y, then 1 bit of polarity and 23 bits of time, the most significant first."""
    (tmp_path / "a.bin").write_bytes(bytes([7, 30, 0x80 | 0x01, 0x02, 0x03]))
    same(read_nmnist(tmp_path / "a.bin"), [7], [30], [1], [0x010203])


def test_what_was_written_comes_back(aedat, nmnist):
    same(read_aedat2(aedat), X128, Y128, P128, T128)
    same(read_nmnist(nmnist), X, Y, P, T)


def test_the_orientations_are_the_stated_ones(aedat):
    same(read_aedat2(aedat, "dat2mat"), 127 - X128, Y128, P128, T128)
    same(read_aedat2(aedat, "spikingjelly"), 127 - Y128, 127 - X128, 1 - P128, T128)


def test_a_clock_that_ran_over_moves_what_follows(tmp_path):
    rows = bytes([1, 2, 0, 0, 9]) + bytes([0, 240, 0, 0, 0]) + bytes([3, 4, 0x80, 0, 5])
    (tmp_path / "a.bin").write_bytes(rows)
    same(read_nmnist(tmp_path / "a.bin"), [1, 3], [2, 4], [0, 1], [9, 8192 + 5])


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda _: b"", "not an AEDAT 2.0 file"),
        (lambda c: c[1:], "not an AEDAT 2.0 file"),
        (lambda c: c.replace(b"2.0", b"3.1"), "not an AEDAT 2.0 file"),
        (lambda c: c[:-3], "its last event is not whole"),
        (lambda c: c[: c.index(b"camera") + 8], "holds no events"),
        (lambda _: b"#!AER-DAT2.0 without an end", "its header does not end"),
        (lambda c: c[:-8] + b"\0\1" + c[-6:], "addresses beyond"),
        (lambda c: c + c[-16:-8], "run backwards"),
    ],
    ids=["empty", "shifted", "version", "cut", "no events", "header", "bits", "backwards"],
)
def test_a_damaged_aedat_is_named(aedat, damage, reason):
    aedat.write_bytes(damage(aedat.read_bytes()))
    with pytest.raises(DataError, match=reason) as caught:
        read_aedat2(aedat)
    assert str(aedat) in caught.value.message


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda _: b"", "holds no events"),
        (lambda c: c[:-2], "its last event is not whole"),
        (lambda c: b"\x22" + c[1:], "x from"),
        (lambda c: c[:1] + b"\x22" + c[2:], "y from"),
        (lambda c: c + c[:5], "run backwards"),
        (lambda _: bytes([0, 240, 0, 0, 0]), "holds no events"),
    ],
    ids=["empty", "cut", "x", "y", "backwards", "only overflow"],
)
def test_a_damaged_n_mnist_file_is_named(nmnist, damage, reason):
    nmnist.write_bytes(damage(nmnist.read_bytes()))
    with pytest.raises(DataError, match=reason) as caught:
        read_nmnist(nmnist)
    assert str(nmnist) in caught.value.message


@pytest.mark.parametrize("read", [read_aedat2, read_nmnist])
def test_what_is_no_file_is_one_line(tmp_path, read):
    for path in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(DataError, match=path.name):
            read(path)


# ---- N-TIDIGITS ----


@pytest.fixture
def cochlea(tmp_path):
    published.ntidigits(tmp_path / "n.hdf5")
    return tmp_path / "n.hdf5"


def test_spikes_are_those_of_the_file(cochlea):
    labels = read_labels(cochlea, "test")
    assert len(labels) == 4 * 13 and "woman-b0-a-o3z" in labels
    found = read_spikes(cochlea, "test", "man-b1-a-7")
    with h5py.File(cochlea) as file:
        np.testing.assert_array_equal(found.x, file["test_addresses/man-b1-a-7"][()])
        times = file["test_timestamps/man-b1-a-7"][()]
    assert np.abs(found.t_us / 1e6 - times).max() <= 0.5e-6
    assert (found.height, found.width) == (1, 64) and not found.y.any() and not found.p.any()


def replaced(name, value):
    def damage(file):
        del file[name]
        if value is not None:
            file[name] = value

    return damage


SPIKES, TIMES = "train_addresses/man-a1-a-3", "train_timestamps/man-a1-a-3"


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (replaced(SPIKES, None), "has no"),
        (replaced(SPIKES, np.arange(120) % 64 + 1), "channels from 1 to 64"),
        (replaced(SPIKES, np.full(120, -1)), "channels from -1"),
        (replaced(SPIKES, np.full(120, 65536 + 3)), "channels from 65539"),
        (replaced(SPIKES, np.zeros(119, int)), "119 channels, 120 times"),
        (replaced(SPIKES, np.zeros((120, 1), int)), "is not a list"),
        (replaced(SPIKES, np.zeros(120)), "not channels and times"),
        (replaced(SPIKES, np.array(["a"] * 120, dtype="S1")), "not channels and times"),
        (replaced(TIMES, np.full(120, np.nan)), "times beyond"),
        (replaced(TIMES, np.full(120, 1e9)), "times beyond"),
        (replaced(TIMES, np.linspace(1, 0, 120)), "run backwards"),
        (replaced(TIMES, np.linspace(-1, 1, 120)), "run backwards"),
        (replaced(TIMES, h5py.SoftLink("/train_labels")), "link to elsewhere"),
        (replaced(TIMES, h5py.ExternalLink("/etc/passwd", "/x")), "link to elsewhere"),
    ],
    ids=[
        "none",
        "64",
        "-1",
        "wraps",
        "fewer",
        "2-d",
        "float",
        "text",
        "nan",
        "late",
        "backwards",
        "negative",
        "link",
        "outside",
    ],
)
def test_damaged_spikes_are_named(cochlea, damage, reason):
    with h5py.File(cochlea, "a") as file:
        damage(file)
    with pytest.raises(DataError, match=reason) as caught:
        read_spikes(cochlea, "train", "man-a1-a-3")
    assert str(cochlea) in caught.value.message


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        (["man-a1-a-3", "man-a1-a-3"], "names a recording twice"),
        (["../../x"], "not a label"),
        (["child-a1-a-3"], "not a label"),
        (["man-a1-a-0"], "not a label"),
    ],
    ids=["twice", "path", "child", "0"],
)
def test_labels_that_are_none_are_named(cochlea, labels, reason):
    with h5py.File(cochlea, "a") as file:
        replaced("train_labels", np.array(labels, dtype="S"))(file)
    with pytest.raises(DataError, match=reason):
        read_labels(cochlea, "train")


@pytest.mark.parametrize("bytes_kept", [0, 7, 100, 2000])
def test_a_cut_cochlea_file_is_one_line(cochlea, bytes_kept):
    cochlea.write_bytes(cochlea.read_bytes()[:bytes_kept])
    with pytest.raises(DataError, match="not readable as HDF5"):
        read_labels(cochlea, "train")
