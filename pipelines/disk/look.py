"""Results of walking and hashing the user's files, remembered while many runs share them.

Outside of `one_look` every call walks the files again, so that a process that lives long notices
what has changed since the stage before. Inside, as in a command or a sweep, the first result is
kept; a stage that then reads the files compares it with a result of `anew`.
"""

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, TypeVar

T = TypeVar("T")
# a context variable, not a global one: threads and tests do not share their results
_results: ContextVar[dict[Any, Any] | None] = ContextVar("results", default=None)


@contextlib.contextmanager
def one_look() -> Iterator[None]:
    """Remember results within this block; a block inside another shares its results."""
    token = _results.set({} if (outer := _results.get()) is None else outer)
    try:
        yield
    finally:
        _results.reset(token)


@contextlib.contextmanager
def anew() -> Iterator[None]:
    """Compute each result from the disk within this block, once; those of the outer block stay."""
    token = _results.set({})
    try:
        yield
    finally:
        _results.reset(token)


def look(function: Callable[..., T], *arguments: Any, **more: Any) -> T:
    """Return function(*arguments, **more), which reads files: the remembered result, if any."""
    results = _results.get()
    if results is None:
        return function(*arguments, **more)
    # by name and repr: arguments such as settings and lists have no hash
    key = (function.__module__, function.__qualname__, repr((arguments, sorted(more.items()))))
    if key not in results:
        results[key] = function(*arguments, **more)
    result: T = results[key]
    return result
