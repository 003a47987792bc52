"""Resolve unquoted scalars to numbers, true, false or null: core schema of YAML 1.2 (§10.3.2).

PyYAML follows 1.1, where `no` is false, `5:30:5` the integer 19805 and `1e-3` text.
"""

import re

_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_WORDS: dict[str, bool | None] = {"": None, "~": None, "null": None, "Null": None, "NULL": None}
_WORDS |= {"true": True, "True": True, "TRUE": True}
_WORDS |= {"false": False, "False": False, "FALSE": False}
# NEL, LS and PS are here because PyYAML ends a line at them and editors do not.
CONTROL = re.compile("[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def plain_scalar(text: str) -> bool | int | float | str | None:
    """Return the value of an unquoted scalar by the YAML 1.2 core schema.

    Raises ValueError for a number that JSON cannot hold or that does not fit in 64 bits.
    """
    if text in _WORDS:
        return _WORDS[text]
    if _NOT_FINITE.fullmatch(text):
        raise ValueError("a number must be finite")
    if _INT.fullmatch(text):
        base = {"0o": 8, "0x": 16}.get(text[:2], 10)
        # the length first: int() raises an error of its own for more than 4300 digits
        if len(text) > 40 or abs(value := int(text, base)) >= 2**63:
            raise ValueError("an integer must fit in 64 bits")
        return value
    if _FLOAT.fullmatch(text):
        if abs(number := float(text)) == float("inf"):
            raise ValueError("a number must be finite")
        return number
    return text
