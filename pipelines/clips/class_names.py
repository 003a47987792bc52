"""When two class names are one class written in two ways."""

import re
import unicodedata
from collections.abc import Iterable
from fractions import Fraction

from pipelines.errors import DataError

NUMBER = re.compile(r"[+-]?\d{1,300}(\.\d{0,300})?")  # int() takes 4300 digits at most
UNSEEN = {"Cf", "Cc", "Zs", "Zl", "Zp"}
SHOWN = 5


def plain(name: str) -> str:
    """Return a name without what does not tell classes apart; "" for a blank one.

    That is case, Unicode form, white space, signs without width, and how a number is written.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    # variation selectors have no width either, and are marks, not format signs
    seen = "".join(
        sign
        for sign in folded
        if unicodedata.category(sign) not in UNSEEN and not "\ufe00" <= sign <= "\ufe0f"
    )
    return str(Fraction(seen)) if NUMBER.fullmatch(seen) else seen


def check(names: Iterable[str], where: object) -> None:
    """Raise DataError if a name is blank, or two are one class written in two ways."""
    first: dict[str, str] = {}
    twins = []
    for name in sorted(set(names)):
        if not (key := plain(name)):
            raise DataError(f"{where}: a class has the blank name {name!a}", "name the class")
        if key in first:
            twins.append(f"{_shown(first[key])} and {_shown(name)}")
        first.setdefault(key, name)
    if twins:
        more = f", and {len(twins) - SHOWN} pairs more" if len(twins) > SHOWN else ""
        raise DataError(
            f"{where}: two names for what may be one class: {', '.join(twins[:SHOWN])}{more}",
            "they differ only by case, Unicode form, white space, signs without width or how a "
            "number is written: give them one name, or names that differ in more",
        )


def _shown(name: str) -> str:
    # two Unicode forms of one name look the same
    return repr(name) if name.isascii() else f"{name!r} ({ascii(name)[1:-1]})"
