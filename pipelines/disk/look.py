"""One look at the user's files: what many runs share is walked and hashed once.

Outside of `one_look` each question is answered anew, so that a process that lives long sees what
has changed since the stage before. Inside, as in a command or a sweep, the first answer stands;
whoever reads the files then asks `anew` whether it still does.
"""

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, TypeVar

T = TypeVar("T")
_seen: ContextVar[dict[Any, Any] | None] = ContextVar("seen", default=None)


@contextlib.contextmanager
def one_look() -> Iterator[None]:
    """Remember answers within this block; a block inside another shares its answers."""
    token = _seen.set({} if (outer := _seen.get()) is None else outer)
    try:
        yield
    finally:
        _seen.reset(token)


@contextlib.contextmanager
def anew() -> Iterator[None]:
    """Answer from the disk within this block, once each, and leave what is remembered as it is."""
    token = _seen.set({})
    try:
        yield
    finally:
        _seen.reset(token)


def look(function: Callable[..., T], *arguments: Any, **more: Any) -> T:
    """Return what a function says of the files that its arguments name."""
    seen = _seen.get()
    if seen is None:
        return function(*arguments, **more)
    key = (function.__module__, function.__qualname__, repr((arguments, sorted(more.items()))))
    if key not in seen:
        seen[key] = function(*arguments, **more)
    found: T = seen[key]
    return found
