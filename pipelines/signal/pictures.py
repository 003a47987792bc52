"""Image files to arrays: JPEG, PNG and the others that Pillow knows, nothing in them trusted."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import DataError

MAX_PIXELS = 1 << 26
HINT = "put a good copy in its place, or leave the clip out"
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM")


def read_picture(path: Path) -> NDArray[np.uint8]:
    """Decode an image: (H, W, 3) uint8, red-green-blue; grey is repeated, transparency dropped.

    Of an animation the first frame is taken. The orientation that a camera noted is not applied:
    training sets are read as they are stored. Raises DataError, naming the file, if it is
    missing, not an image, cut short, or larger than 2^26 pixels.
    """
    from PIL import Image  # 0.1 s to import

    # Pillow warns of damaged metadata, and of size, which is bounded below
    warnings.filterwarnings("ignore", module=r"PIL\.")
    if not path.is_file():
        raise DataError(f"{path}: no such file", "run `avsnn download` for its dataset")
    try:
        with Image.open(path, formats=FORMATS) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise DataError(
                    f"{path}: {width} x {height} pixels, at most {MAX_PIXELS} in all", HINT
                )
            return _levels(path, image)
    except DataError:
        raise
    # what Pillow raises for damage depends on the format's decoder
    except Exception as error:
        raise DataError(f"{path}: not a readable image: {error}", HINT) from error


def _levels(path: Path, image: Any) -> NDArray[np.uint8]:
    """Decode to 8 bits; Pillow's own conversion makes all grey levels above 255 white."""
    if image.mode.startswith("I;16"):
        grey = (np.asarray(image) >> 8).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    if image.mode in ("I", "F"):
        raise DataError(f"{path}: not a readable image: its levels have no known range", HINT)
    levels: NDArray[np.uint8] = np.array(image.convert("RGB"))
    return levels
