"""Pictures are read as every viewer shows them, or left out with a word."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from pipelines.cache.source_reader import Decoded, Reading, decode
from pipelines.errors import DataError
from pipelines.readers.notices import collected_notices
from pipelines.readers.pictures import read_picture
from tests import published
from tests.cli.conftest import in_process


def pattern(height=6, width=10):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


# where the upper left pixel of what is stored comes from, in what is shown: EXIF 2.3, table 4
SHOWN = {
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.transpose(1, 0, 2),
    6: lambda x: x.transpose(1, 0, 2)[:, ::-1],
    7: lambda x: x.transpose(1, 0, 2)[::-1, ::-1],
    8: lambda x: x.transpose(1, 0, 2)[::-1],
}


@pytest.mark.parametrize("kind", ["png", "webp", "tiff"])
@pytest.mark.parametrize("orientation", SHOWN)
def test_a_picture_is_turned_as_the_camera_noted(tmp_path, kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "webp" else {}
    Image.fromarray(pattern()).save(tmp_path / f"a.{kind}", exif=exif, **options)
    found = read_picture(tmp_path / f"a.{kind}")
    np.testing.assert_array_equal(found, SHOWN[orientation](pattern()))


@pytest.mark.parametrize("orientation", [3, 6])
def test_a_photograph_is_turned_as_pillow_turns_it(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pattern(48, 64)).save(tmp_path / "a.jpg", exif=exif)
    with Image.open(tmp_path / "a.jpg") as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    np.testing.assert_array_equal(read_picture(tmp_path / "a.jpg"), expected)


def test_notes_of_the_camera_that_are_damaged_count_as_none(tmp_path):
    Image.fromarray(pattern()).save(tmp_path / "a.png", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\0")
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png"), pattern())


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_is_laid_over_white_and_said(tmp_path, mode):
    """A black sign on nothing is black on white, not black on black."""
    levels = np.zeros((20, 30, 4), np.uint8)
    levels[5:15, 10:20, 3] = 255
    image = Image.fromarray(levels)
    image = image.quantize() if mode == "P" else image.convert(mode)
    image.save(tmp_path / "a.png")
    with collected_notices() as notices:
        found = read_picture(tmp_path / "a.png")
    expected = np.where(levels[..., 3:] == 255, 0, 255)
    np.testing.assert_array_equal(found, np.repeat(expected, 3, 2))
    assert notices == ["transparency laid over white"]


def test_half_transparent_is_half_white(tmp_path):
    levels = np.full((4, 4, 4), (100, 50, 0, 128), np.uint8)
    Image.fromarray(levels).save(tmp_path / "a.png")
    expected = 255 - (255 - np.array([100, 50, 0])) * 128 / 255
    assert np.abs(read_picture(tmp_path / "a.png") - expected).max() <= 1


def test_an_opaque_picture_with_an_alpha_channel_is_what_it_was(tmp_path):
    opaque = np.dstack([pattern(), np.full((6, 10), 255, np.uint8)])
    Image.fromarray(opaque).save(tmp_path / "a.png")
    with collected_notices() as notices:
        np.testing.assert_array_equal(read_picture(tmp_path / "a.png"), pattern())
    assert not notices


def declared(path, bits):
    """Say in a PNG how many of its bits are significant."""
    content = path.read_bytes()
    chunk = b"sBIT" + bytes([bits])
    chunk = struct.pack(">I", 1) + chunk + struct.pack(">I", zlib.crc32(chunk))
    path.write_bytes(content[:33] + chunk + content[33:])  # behind the signature and the header


@pytest.mark.parametrize("bits", [8, 10, 12])
def test_levels_of_fewer_than_16_bits_are_read_by_their_declared_range(tmp_path, bits):
    levels = np.random.default_rng(0).integers(0, 1 << bits, (20, 30), np.uint16)
    Image.fromarray(levels).save(tmp_path / "a.png")
    declared(tmp_path / "a.png", bits)
    found = decode(Reading("folder", tmp_path, "image", 0.5, {}), "a.png")
    assert isinstance(found, Decoded)
    np.testing.assert_array_equal(found.data[..., 0], levels >> (bits - 8))
    assert found.notices == (f"16-bit levels read by their declared range of {bits} bits",)


def test_levels_scaled_up_to_16_bits_keep_their_upper_8(tmp_path):
    """As PNG asks for, which declares the bits all the same."""
    levels = np.random.default_rng(0).integers(0, 1 << 12, (20, 30)).astype(np.uint16) << 4
    Image.fromarray(levels).save(tmp_path / "a.png")
    declared(tmp_path / "a.png", 12)
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png")[..., 0], levels >> 8)


@pytest.mark.parametrize("bits", [8, 12])
@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_16_bits_that_are_all_but_black_are_refused_by_name(tmp_path, bits, kind):
    levels = np.random.default_rng(0).integers(0, 1 << bits, (20, 30), np.uint16)
    Image.fromarray(levels).save(tmp_path / f"a.{kind}")
    with pytest.raises(DataError, match=rf"a\.{kind}: levels up to .* of 16 bits"):
        read_picture(tmp_path / f"a.{kind}")


@pytest.mark.parametrize(("bits", "is_black"), [(16, False), (12, True)])
def test_colours_of_16_bits_that_are_all_but_black_are_refused_too(tmp_path, bits, is_black):
    """Pillow writes no such PNG: it is made by hand."""
    levels = np.random.default_rng(0).integers(0, 1 << bits, (4, 5, 3)).astype(">u2")
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", 5, 4, 16, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"".join(b"\0" + row.tobytes() for row in levels))),
        (b"IEND", b""),
    ]
    content = b"\x89PNG\r\n\x1a\n"
    for name, data in chunks:
        content += struct.pack(">I", len(data)) + name + data
        content += struct.pack(">I", zlib.crc32(name + data))
    (tmp_path / "a.png").write_bytes(content)
    if is_black:
        with pytest.raises(DataError, match="of 16 bits"):
            read_picture(tmp_path / "a.png")
    else:
        np.testing.assert_array_equal(read_picture(tmp_path / "a.png"), levels >> 8)


def test_prepare_says_how_many_pictures_were_laid_over_white(tmp_path):
    own = tmp_path / "mine"
    published.class_pairs(own, ("audio", "vision"), ("dog", "rain"), 10)
    glyph = np.zeros((12, 12, 4), np.uint8)
    glyph[3:9, 3:9, 3] = 255
    for name in ("dog/1-0", "dog/1-1", "rain/101-0"):
        Image.fromarray(glyph).save(own / "vision" / f"{name}.png")
    said = in_process(tmp_path / "home", "prepare", "folder/s_cmrl", "--set", f"data.path={own}")
    assert said.code == 0, said.err
    assert "notice: 3 of 20 visual sources: transparency laid over white" in said.err
