"""Class names: find two that are one class written in two ways."""

import re
import unicodedata
from collections.abc import Iterable
from fractions import Fraction

from pipelines.errors import DataError

NUMBER = re.compile(r"[+-]?\d{1,300}(\.\d{0,300})?")  # int() takes 4300 digits at most
INVISIBLE_CATEGORIES = {"Cf", "Cc", "Zs", "Zl", "Zp"}  # of Unicode: format, control, separators
SHOWN = 5


def comparison_key(name: str) -> str:
    """Return a key that is equal for two spellings of one class name; "" for a blank name.

    The key drops case, Unicode form, white space, signs without width, and how a number is
    written.
    """
    # NFKC twice: case folding can leave a form that is no longer normalised
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    # variation selectors have no width either, and are marks, not format signs
    visible = "".join(
        sign
        for sign in folded
        if unicodedata.category(sign) not in INVISIBLE_CATEGORIES
        and not "\ufe00" <= sign <= "\ufe0f"
    )
    return str(Fraction(visible)) if NUMBER.fullmatch(visible) else visible


def check(names: Iterable[str], where: object) -> None:
    """Raise DataError if a name is blank, or two are one class written in two ways.

    where: named in the message, such as a folder or a table.
    """
    first: dict[str, str] = {}
    twins = []
    for name in sorted(set(names)):
        if not (key := comparison_key(name)):
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
    # two Unicode forms of one name look the same: their code points tell them apart
    return repr(name) if name.isascii() else f"{name!r} ({ascii(name)[1:-1]})"
