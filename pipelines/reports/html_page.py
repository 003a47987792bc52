"""Pieces of an HTML page that needs no network and runs no script; light or dark as the screen is.

Laid out by the templates beside this file, with autoescape: a str is text and is escaped, wherever
it is put; what these functions return is markup (Markup) and stays as it is.
"""

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

TEMPLATES = Path(__file__).parent / "templates"
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
# a number with its deviation, or the words for them
SPREAD = re.compile(r"(?:[^\s±]+ )?± \S+")
# what a file is known by as a page of ours; a test holds the template to it
BEGINNING = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">"""


def page(title: str, body: Iterable["str | Markup"]) -> str:
    """Return a whole document. body: pieces; a str among them is text, and escaped."""
    return _environment().get_template("page.html").render(title=title, body=list(body))


def is_ours(path: Path) -> bool:
    """Check whether a file begins as a page of ours does."""
    try:
        with path.open("rb") as file:
            return file.read(len(BEGINNING)) == BEGINNING.encode()
    except OSError:
        return False


def element(tag: str, text: str, kind: str = "") -> "Markup":
    """Return an element that holds text. kind: its class."""
    return _piece("element", tag, text, kind)


def listed(items: Iterable[str]) -> "Markup":
    """Return a list of texts in small print; nothing for none."""
    return _piece("listed", list(items))


def table(rows: Sequence[Mapping[str, str]]) -> "Markup":
    """Return a table; its header is the first row's keys, which all rows have."""
    return _piece("table", rows)


def facts(values: Mapping[str, str]) -> "Markup":
    """Return a table of two columns, each row headed by its name."""
    return _piece("facts", values)


def picture(png: bytes, alt: str, caption: str, dark: bytes | None = None) -> "Markup":
    """Return a figure with the bytes of its PNG in it.

    alt: what it shows, for readers who cannot see it. dark: the same picture for a dark screen,
    where there is one.
    """
    light, night = (base64.b64encode(data).decode("ascii") for data in (png, dark or b""))
    return _piece("picture", light, night, alt, caption)


def pictures(figures: Iterable["Markup"]) -> "Markup":
    """Lay figures side by side, as many as fit; nothing for none."""
    return _piece("pictures", list(figures))


def folded(summary: str, *body: "str | Markup") -> "Markup":
    """Return what a reader opens by a click. body: pieces."""
    return _piece("folded", summary, body)


def _piece(name: str, *arguments: Any) -> "Markup":
    piece: Markup = getattr(_environment().get_template("pieces.html").module, name)(*arguments)
    return piece


@cache
def _environment() -> "Environment":
    """Load the templates once a process, and Jinja2 only where a page is made."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_printable,
        keep_trailing_newline=True,
    )
    environment.filters["unbroken"] = _unbroken
    return environment


def _unbroken(text: Any) -> Any:
    """Return text as markup in which "70.00 ± 1.41" does not break over lines."""
    from markupsafe import Markup, escape

    if not isinstance(text, str) or hasattr(text, "__html__"):
        return text
    # escaped first: what goes between the tags of ours is text. Escaping adds and takes no spaces.
    escaped = str(escape(_printable(text)))
    return Markup(SPREAD.sub(r'<span class="unbroken">\g<0></span>', escaped))


def _printable(value: Any) -> Any:
    """Return text as a UTF-8 file and an HTML page can hold it; markup and numbers as they are."""
    if not isinstance(value, str) or hasattr(value, "__html__"):
        return value
    # UTF-8 has no half of a surrogate pair, which JSON may carry, and HTML no control characters
    whole = value.encode("utf-8", "replace").decode()
    return "".join(sign for sign in whole if sign >= " " or sign in "\n\t")
