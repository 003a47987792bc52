"""What a reader has to say of a file that it took all the same, such as "transparency over white".

A reader prints nothing and knows nobody: it gives a notice, and whoever called it may collect
those of one file. Each thread has its own.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_collected: ContextVar[list[str] | None] = ContextVar("notices", default=None)


def notice(text: str) -> None:
    """Give a notice, in words that are equal for equal cases, so that they can be counted."""
    collected = _collected.get()
    if collected is not None and text not in collected:
        collected.append(text)


@contextmanager
def collected_notices() -> Iterator[list[str]]:
    """Collect the notices that are given inside, in this thread."""
    found: list[str] = []
    token = _collected.set(found)
    try:
        yield found
    finally:
        _collected.reset(token)
