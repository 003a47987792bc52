"""The look of all figures: palette, style, headline; and how a figure is written.

Style and font come with matplotlib, not from the user's settings, and neither a date nor a version
is written: the same numbers give the same bytes. Colours are those of the current ground.
"""

import io
import math
import numbers
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.disk.store import publish
from pipelines.figures.ground import DARK, LIGHT, drawn_on, ground
from pipelines.figures.labels import wrap

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMN_INCHES = (5.0, 3.4)
DPI = 300
SCREEN_DPI = 200
# under a folder of pictures: the same ones for a dark page
DARK_FOLDER = "dark"
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p")
LINES: tuple[Any, ...] = ("-", "--", "-.", (0, (1, 1)), (0, (5, 1, 1, 1, 1, 1)))
STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 8.0,
    "axes.labelsize": 8.0,
    "axes.linewidth": 0.5,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.titlesize": 8.5,
    # A class name is text, also with a dollar sign in it.
    "text.parse_math": False,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "xtick.major.width": 0.5,
    "ytick.major.width": 0.5,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.3,
    "lines.markersize": 4.5,
    # Publishers refuse Type 3 fonts.
    "pdf.fonttype": 42,
}


@contextmanager
def paper_style() -> Iterator[None]:
    """Draw or write within it: the user's settings stay out, and come back as they were."""
    import matplotlib.style

    with matplotlib.style.context(["default", STYLE, _colours()]):
        yield


def _colours() -> dict[str, str]:
    ink, page = ground().ink, ground().page
    inked = ("axes.labelcolor", "axes.edgecolor", "text.color", "xtick.color", "ytick.color")
    return dict.fromkeys(inked, ink) | {
        "axes.facecolor": page,
        "figure.facecolor": page,
        "legend.facecolor": page,
        "grid.color": ground().faint,
    }


def new_figure(inches: tuple[float, float]) -> "Figure":
    """Make an empty figure of (width, height) inches, without pyplot's state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=inches, dpi=DPI, facecolor=ground().page, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


@paper_style()
def write(figure: "Figure", path: Path, dpi: int = DPI) -> None:
    """Write a figure as .png or .pdf, atomically.

    Raises ValueError for another ending, MachineError where the disk refuses.
    """
    metadata = {
        ".png": {"Software": None},
        ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    }
    kind = path.suffix.lower()
    if kind not in metadata:
        raise ValueError(f"a figure is written as .png or .pdf, not as {path.name}")
    with publish(path) as part:
        figure.savefig(part, format=kind[1:], dpi=dpi, metadata=metadata[kind])


@paper_style()
def as_png(figure: "Figure", dpi: int = SCREEN_DPI) -> bytes:
    """Return a figure as the bytes of a PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def on_both_grounds(draw: Callable[[], "Figure"]) -> tuple[bytes, bytes]:
    """Draw a figure on white and on dark; returns the bytes of both PNGs, in 256 colours."""
    pictures = []
    for chosen in (LIGHT, DARK):
        with drawn_on(chosen):
            pictures.append(_in_256_colours(as_png(draw())))
    return pictures[0], pictures[1]


def write_both(draw: Callable[[], "Figure"], path: Path) -> None:
    """Write a PNG of a figure on white, and beside it NAME-dark.png for a page in the dark."""
    write(draw(), path)
    with drawn_on(DARK):
        write(draw(), path.with_stem(f"{path.stem}-dark"), SCREEN_DPI)


def _in_256_colours(png: bytes) -> bytes:
    """Return a PNG with a palette: a third of the size, at which two fit where one was."""
    from PIL import Image

    buffer = io.BytesIO()
    with Image.open(io.BytesIO(png)) as image:
        # median cut keeps the colours of large areas, such as the page's, as they are
        flat = image.convert("RGB").quantize(
            256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE
        )
    flat.save(buffer, "png", optimize=True)
    return buffer.getvalue()


def headline(figure: "Figure", *lines: str) -> None:
    """Put lines over a figure, at its left; an empty line is left out."""
    text = "\n".join(filter(None, (wrap(line, 76, 2) for line in lines)))
    if text:
        figure.suptitle(text, x=0.01, ha="left")


def finite(value: Any, what: str) -> float:
    """Return a finite number; raises ValueError naming `what` for anything else."""
    if not isinstance(value, numbers.Real) or not math.isfinite(value):
        raise ValueError(f"{what} must be a finite number, got {value}")
    return float(value)


def fraction(value: Any, what: str) -> float:
    """Return a number in 0..1; raises ValueError naming `what` for anything else."""
    if not 0.0 <= finite(value, what) <= 1.0:
        raise ValueError(f"{what} must lie in 0..1, got {value}")
    return float(value)
