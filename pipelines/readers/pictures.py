"""Image files to arrays: JPEG, PNG and the others that Pillow knows, nothing in them trusted."""

import struct
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import DataError
from pipelines.readers.hints import DOWNLOAD, REPLACE_CLIP
from pipelines.readers.notices import notice

MAX_PIXELS = 1 << 26
# those that cameras and data sets write; others are refused: EPS, for one, would run Ghostscript
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM")
MAX_SAMPLE_VALUE = 281  # of TIFF
DARK = 1 << 12  # 16-bit levels that all lie below it are of 12 bits or fewer, or black to the eye
MAX_CHUNKS = 100


def read_picture(path: Path) -> NDArray[np.uint8]:
    """Decode an image: (H, W, 3) uint8, red-green-blue; grey is repeated.

    As every viewer shows it: turned as the camera noted (EXIF), transparency over white, with a
    notice. The first frame of an animation is taken. Levels of 16 bits lose their lower 8; where
    the file declares fewer bits and uses no more, the upper 8 of these are taken, with a notice.
    Raises DataError, naming the file, if it is missing, not an image, cut short, larger than 2^26
    pixels, or of 16 bits of which the upper 4 are unused.
    """
    from PIL import Image  # 0.1 s to import

    # Pillow warns of damaged metadata, and of size, which is bounded below
    warnings.filterwarnings("ignore", module=r"PIL\.")
    if not path.is_file():
        raise DataError(f"{path}: no such file", DOWNLOAD)
    try:
        with Image.open(path, formats=FORMATS) as image:
            width, height = image.size
            # from the header, before a pixel is decoded: a small file can declare gigabytes
            if width * height > MAX_PIXELS:
                raise DataError(
                    f"{path}: {width} x {height} pixels, at most {MAX_PIXELS} in all", REPLACE_CLIP
                )
            return _levels(path, _upright(image))
    # a full machine is no fault of the file
    except (DataError, MemoryError):
        raise
    # what Pillow raises for damage depends on the format's decoder
    except Exception as error:
        raise DataError(f"{path}: not a readable image: {error}", REPLACE_CLIP) from error


def _upright(image: Any) -> Any:
    """Turn an image as the camera noted; a note that cannot be read counts as none."""
    from PIL import ImageOps

    image.load()
    # Pillow's reader of EXIF raises whatever the damage leads to
    with suppress(SyntaxError, ValueError, TypeError, KeyError, IndexError, struct.error, OSError):
        ImageOps.exif_transpose(image, in_place=True)
    return image


def _levels(path: Path, image: Any) -> NDArray[np.uint8]:
    """Decode to 8 bits; Pillow's own conversion makes all grey levels above 255 white."""
    if image.mode.startswith("I;16"):
        grey = _upper_bits(path, np.asarray(image), image)
        return np.repeat(grey[..., None], 3, axis=2)
    if image.mode in ("I", "F"):
        raise DataError(
            f"{path}: not a readable image: its levels have no known range", REPLACE_CLIP
        )
    image = _over_white(image)
    # without a copy of a large picture
    levels: NDArray[np.uint8] = np.asarray(image if image.mode == "RGB" else image.convert("RGB"))
    # Pillow has already taken the upper 8 bits of colours
    if _bits(path) == 16 and levels.max() < DARK >> 8:
        raise _unused(path)
    return levels


def _upper_bits(path: Path, levels: NDArray[Any], image: Any) -> NDArray[np.uint8]:
    """Take the upper 8 of the bits that a 16-bit image declares and uses."""
    highest, bits = int(levels.max()), _declared_bits(path, image)
    # PNG scales levels of fewer bits up to 16 and declares them all the same
    if 8 <= bits < 16 and highest < 1 << bits:
        notice(f"16-bit levels read by their declared range of {bits} bits")
        return (levels >> (bits - 8)).astype(np.uint8)
    if highest < DARK:
        raise _unused(path, highest)
    return (levels >> 8).astype(np.uint8)


def _unused(path: Path, highest: int | None = None) -> DataError:
    levels = f"levels up to {highest}" if highest is not None else "levels below 4096"
    return DataError(
        f"{path}: {levels} of 16 bits, which is black: fewer bits are meant than the file declares",
        "store it with 8 bits, or scaled to 16, or declare its bits (sBIT of PNG)",
    )


def _declared_bits(path: Path, image: Any) -> int:
    """Return how many bits of a grey image are declared significant, 16 if none are declared."""
    if image.format == "TIFF" or hasattr(image, "tag_v2"):
        highest = image.tag_v2.get(MAX_SAMPLE_VALUE, 65535)
        return int(highest[0] if isinstance(highest, tuple) else highest).bit_length()
    significant = _png_chunk(path, b"sBIT")
    return significant[0] if significant else 16


def _bits(path: Path) -> int:
    """Return the bits of a level by a PNG's header, 0 for another file."""
    header = _png_chunk(path, b"IHDR")
    return header[8] if header and len(header) > 8 else 0


def _png_chunk(path: Path, name: bytes) -> bytes:
    """Return the content of a PNG's chunk before its pixels, empty if there is none."""
    with path.open("rb") as file:
        if file.read(8) != b"\x89PNG\r\n\x1a\n":
            return b""
        # a PNG's chunk: size, name, content, checksum; IDAT holds the pixels
        for _ in range(MAX_CHUNKS):
            head = file.read(8)
            size = int.from_bytes(head[:4], "big")
            if head[4:] == name:
                return file.read(min(size, 64))
            if len(head) < 8 or head[4:] == b"IDAT":
                break
            file.seek(size + 4, 1)
    return b""


def _over_white(image: Any) -> Any:
    """Lay an image over white where it is transparent."""
    from PIL import Image

    if not image.has_transparency_data:
        return image
    # an alpha channel that is opaque everywhere is common, and no reservation
    colours = image.convert("RGBA")
    if colours.getextrema()[3][0] == 255:
        return image
    notice("transparency laid over white")
    white = Image.new("RGBA", colours.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, colours)
