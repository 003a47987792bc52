"""The one place that prints: no name steers the terminal, and every encoding shows every line.

Control characters are escaped as JSON writes them (`\\u001b`), so that printed JSON stays valid;
files that avsnn writes hold them unchanged. A character that the encoding of a stream lacks is
written in ASCII: "uJ" for "µJ", "+/-" for "±", else `\\u00e9`.
"""

import codecs
import json
import os
import re
import sys
import unicodedata
from typing import TextIO

IN_ASCII = {
    "µ": "u",
    "μ": "u",
    "±": "+/-",
    "×": "x",
    "·": ".",
    "°": " deg",
    "≤": "<=",
    "≥": ">=",
    "…": "...",
    "–": "-",
    "—": "-",
    "−": "-",
    "→": "->",
    "²": "^2",
    "‖": "||",
    "‘": "'",
    "’": "'",
    "“": '"',
    "”": '"',
    "\N{NO-BREAK SPACE}": " ",
}
ERRORS = "avsnn.ascii"
# control, format (they turn the direction of text), surrogate, private, line separators
UNSEEN = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")
# what may need an escape: everything but printable ASCII, so that plain text is never searched
CANDIDATE = re.compile(r"[^\n\t -~]")


def shown(text: str) -> str:
    """Escape characters that a terminal would obey or hide; line breaks and tabs stay."""
    return CANDIDATE.sub(lambda match: _escaped(match[0]), text)


def one_line(text: str) -> str:
    """Escape line breaks and tabs too, for a cell of a table."""
    return shown(text).replace("\n", "\\n").replace("\t", "\\t")


def write(text: str, stream: TextIO | None) -> None:
    """Print a line and flush it. Raises OSError where the stream cannot be written."""
    print(shown(text), file=stream, flush=True)


def is_ascii(stream: TextIO) -> bool:
    """Return whether a stream's encoding lacks most of Unicode, so that JSON needs its escapes."""
    return not (stream.encoding or "utf-8").lower().startswith("utf")


def open_streams() -> None:
    """Make stdout and stderr accept every text; writing to a closed one raises OSError.

    Call it before any file is opened: a file would get the descriptor of a closed stream, and what
    is printed would be written into it.
    """
    for number, flags in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:  # closed (`>&-`); the lowest free number is this one
            os.open(os.devnull, flags)
    # Python leaves None for a stream that was closed at the start; printing to None is lost
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    codecs.register_error(ERRORS, _in_ascii)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # not in a test's own stream
            stream.reconfigure(errors=ERRORS)


def drop_unwritten() -> None:
    """Discard what stdout did not accept: Python would fail on it once more when it ends."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _escaped(sign: str) -> str:
    return json.dumps(sign)[1:-1] if unicodedata.category(sign) in UNSEEN else sign


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    """Replace the characters that an encoding lacks: an error handler, see `codecs`."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(IN_ASCII.get(s) or json.dumps(s)[1:-1] for s in lacking), error.end
