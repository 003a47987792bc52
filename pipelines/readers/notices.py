"""Notices: reservations of a reader about a file that it took, such as "transparency over white".

A reader prints nothing. It gives a notice, and its caller may collect those of one file. Each
thread has its own.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

# a context variable and no global: several threads decode at once
_collected: ContextVar[list[str] | None] = ContextVar("notices", default=None)


def notice(text: str) -> None:
    """Give a notice, in words that are equal for equal cases, so that they can be counted."""
    collected = _collected.get()
    if collected is not None and text not in collected:
        collected.append(text)


@contextmanager
def collected_notices() -> Iterator[list[str]]:
    """Collect the notices of the block, in this thread."""
    notices: list[str] = []
    token = _collected.set(notices)
    try:
        yield notices
    finally:
        # back to the collection around this one: they nest
        _collected.reset(token)
