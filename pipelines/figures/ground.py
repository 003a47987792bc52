"""The colours of a figure by the ground it is drawn on: white paper, or a page in the dark.

A figure that is published on its own is on white; a report shows each picture on both.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True)
class Ground:
    """Colours of one ground.

    page: the ground itself. ink: text and axes. muted: what stands back. faint: grid lines and
    cells without a value. curves: one colour a curve, the first two also for bars and boxes.
    box: the face of a box plot. shares: a colour map's colours from 0 to 100 %, none of them so
    near to the page's that a cell of 0 % would be taken for a gap on it.
    """

    page: str
    ink: str
    muted: str
    faint: str
    curves: tuple[str, ...]
    box: str
    shares: tuple[str, ...]


# Okabe & Ito 2008 without yellow, which is not legible on white.
LIGHT = Ground(
    page="#FFFFFF",
    ink="#222222",
    muted="#666666",
    faint="#DDDDDD",
    curves=("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#E69F00", "#56B4E9"),
    box="#CFE3F1",
    shares=("#F7FBFF", "#C6DBEF", "#6BAED6", "#2171B5", "#08306B"),
)
# The same hues in the same order; white for black, sky blue for blue and yellow for sky blue,
# which are legible where the ground is dark. The page is the report's own.
DARK = Ground(
    page="#161616",
    ink="#E6E6E6",
    muted="#A8A8A8",
    faint="#3A3A3A",
    curves=("#56B4E9", "#D55E00", "#009E73", "#CC79A7", "#F2F2F2", "#E69F00", "#F0E442"),
    box="#1F4058",
    shares=("#20262C", "#1B4668", "#2171B5", "#6BAED6", "#D6E9F8"),
)
_current: ContextVar[Ground] = ContextVar("ground", default=LIGHT)


def ground() -> Ground:
    """Return the ground on which figures are drawn now: white, outside `drawn_on`."""
    return _current.get()


@contextmanager
def drawn_on(chosen: Ground) -> Iterator[None]:
    """Draw and write the figures within it on this ground."""
    token = _current.set(chosen)
    try:
        yield
    finally:
        _current.reset(token)
