"""The look of all figures: palette, style, headline; and how a figure is written.

Style and font come with matplotlib, not from the user's settings, and neither a date nor a version
is written: the same numbers give the same bytes. White ground, so that a page may be dark.
"""

import io
import math
import numbers
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.disk.store import publish

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMN_INCHES = (5.0, 3.4)
DPI = 300
SCREEN_DPI = 160
# Okabe & Ito 2008 without yellow, which is not legible on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#E69F00", "#56B4E9")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p")
LINES: tuple[Any, ...] = ("-", "--", "-.", (0, (1, 1)), (0, (5, 1, 1, 1, 1, 1)))
INK, MUTED, FAINT = "#222222", "#666666", "#DDDDDD"
STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 8.0,
    "axes.labelsize": 8.0,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.5,
    "axes.edgecolor": INK,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.titlesize": 8.5,
    "text.color": INK,
    # A class name is text, also with a dollar sign in it.
    "text.parse_math": False,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "xtick.major.width": 0.5,
    "ytick.major.width": 0.5,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "grid.color": FAINT,
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

    with matplotlib.style.context(["default", STYLE]):
        yield


def new_figure(inches: tuple[float, float]) -> "Figure":
    """Make an empty figure of (width, height) inches, without pyplot's state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=inches, dpi=DPI, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    return figure


@paper_style()
def write(figure: "Figure", path: Path) -> None:
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
        figure.savefig(part, format=kind[1:], dpi=DPI, metadata=metadata[kind])


@paper_style()
def as_png(figure: "Figure", dpi: int = SCREEN_DPI) -> bytes:
    """Return a figure as the bytes of a PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def headline(figure: "Figure", *lines: str) -> None:
    """Put lines over a figure, at its left; an empty line is left out."""
    text = "\n".join(filter(None, (wrap(line, 76, 2) for line in lines)))
    if text:
        figure.suptitle(text, x=0.01, ha="left")


def wrap(text: str, width: int, max_lines: int) -> str:
    """Break text after `width` characters; what does not fit into max_lines is cut, and marked."""
    return "\n".join(textwrap.wrap(text, width, max_lines=max_lines, placeholder=" …"))


def shorten(text: str, length: int) -> str:
    """Cut text to `length` characters by leaving out its middle."""
    text = " ".join(text.split())
    # The end stays: it is often what tells "engine, idling" from "engine, starting".
    return text if len(text) <= length else f"{text[: length - 9]}…{text[-8:]}"


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
