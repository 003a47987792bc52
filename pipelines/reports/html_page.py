"""Pieces of an HTML page that needs no network and runs no script; light or dark as the screen is.

Every function that takes text escapes it; those that take markup, made by the others, say so.
"""

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path

# A second lock: even if something got through, nothing is fetched and nothing runs.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
BEGINNING = "\n".join([
    "<!doctype html>", '<html lang="en">', "<head>", '<meta charset="utf-8">',
    f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
])  # fmt: skip
STYLE = """
:root { color-scheme: light dark; --ink: #222; --muted: #595959; --line: #ccc; --ground: #fff; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e6e6; --muted: #a8a8a8; --line: #4a4a4a; --ground: #161616; }
}
body { margin: 2rem auto; max-width: 64rem; padding: 0 1rem; color: var(--ink);
  background: var(--ground); font: 1rem/1.5 system-ui, sans-serif; }
h1, h2, h3 { line-height: 1.25; overflow-wrap: anywhere; }
h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--line); }
h3 { margin-top: 2rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .75rem .25rem 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--line); }
th { color: var(--muted); font-weight: 600; white-space: nowrap; }
td { overflow-wrap: break-word; }
ul { padding-left: 1.2rem; }
figure { display: inline-block; margin: .75rem 1rem .75rem 0; max-width: 100%;
  vertical-align: top; }
img { display: block; width: 30rem; max-width: 100%; height: auto; background: #fff;
  border-radius: 4px; }
figcaption { max-width: 30rem; margin-top: .35rem; }
figcaption, .note { color: var(--muted); font-size: .875rem; }
pre { overflow-x: auto; padding: .75rem; border: 1px solid var(--line); font-size: .8125rem; }
details { margin: .5rem 0; }
summary { cursor: pointer; overflow-wrap: anywhere; }
@media print { figure, tr { break-inside: avoid; } }
"""


def page(title: str, body: Iterable[str]) -> str:
    """Return a whole document. body: markup."""
    return "\n".join([
        BEGINNING,
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{plain(title)}</title>", f"<style>{STYLE}</style>", "</head>", "<body>", *body,
        "</body>", "</html>", "",
    ])  # fmt: skip


def is_ours(path: Path) -> bool:
    """Say whether a file begins as a page of ours does."""
    try:
        with path.open("rb") as file:
            return file.read(len(BEGINNING)) == BEGINNING.encode()
    except OSError:
        return False


def plain(text: str) -> str:
    """Escape text, for between tags as well as for an attribute in double quotes."""
    # half a character pair, which JSON may carry, is in no UTF-8 file; control signs in no HTML
    whole = text.encode("utf-8", "replace").decode()
    return escape("".join(sign for sign in whole if sign >= " " or sign in "\n\t"))


def element(tag: str, text: str, kind: str = "") -> str:
    """Return an element that holds text. kind: its class."""
    opening = f'{tag} class="{kind}"' if kind else tag
    return f"<{opening}>{plain(text)}</{tag}>"


def listed(items: Iterable[str]) -> str:
    """Return a list of texts in small print; nothing for none."""
    found = [element("li", item) for item in items]
    return f'<ul class="note">{"".join(found)}</ul>' if found else ""


def table(rows: Sequence[Mapping[str, str]]) -> str:
    """Return a table; its header is the first row's keys, which all rows have."""
    if not rows:
        return ""
    head = "".join(f'<th scope="col">{plain(name)}</th>' for name in rows[0])
    lines = ["".join(element("td", row[name]) for name in rows[0]) for row in rows]
    body = "\n".join(f"<tr>{line}</tr>" for line in [head, *lines])
    return f'<div class="wide"><table>\n{body}\n</table></div>'


def facts(found: Mapping[str, str]) -> str:
    """Return a table of two columns, each row headed by its name."""
    lines = [
        f'<tr><th scope="row">{plain(name)}</th>{element("td", value)}</tr>'
        for name, value in found.items()
    ]
    return '<div class="wide"><table>\n' + "\n".join(lines) + "\n</table></div>"


def picture(png: bytes, alt: str, caption: str) -> str:
    """Return a figure with the picture's bytes in it. alt: what it shows, for who cannot see it."""
    data = base64.b64encode(png).decode("ascii")
    image = f'<img src="data:image/png;base64,{data}" alt="{plain(alt)}">'
    return f"<figure>{image}{element('figcaption', caption)}</figure>"


def folded(summary: str, *body: str) -> str:
    """Return what a reader opens by a click. body: markup."""
    return "\n".join(["<details>", element("summary", summary), *body, "</details>"])
