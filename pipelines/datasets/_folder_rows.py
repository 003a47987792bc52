"""The rows of the user's table as a spreadsheet, pandas or a script writes it: CSV, JSON lines."""

import codecs
import csv
import difflib
import io
import json
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pipelines.clips.walk import plain
from pipelines.errors import DataError

COLUMNS = ("audio", "image", "video", "label", "group", "split", "azimuth", "speaker")
SOURCES = COLUMNS[:3]
MAX_BYTES = 1 << 28
SHOWN = 8  # columns that are not read
ENCODINGS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
UNSEEN = "\ufeff\u200b\u200c\u200d\u2060\xad"

Row = tuple[int, dict[str, Any]]


class Table(NamedTuple):
    """Rows with their lines, blank cells left out, and the columns that nobody reads."""

    rows: list[Row]
    unread: list[str]

    def remarks(self) -> list[str]:
        """Say which columns are not read, once, with what a misspelt one may mean."""
        there = {name for _, row in self.rows for name in row}
        said = [name + _guess(name, set(COLUMNS) - there) for name in self.unread]
        more = f" and {len(said) - SHOWN} more" if len(said) > SHOWN else ""
        return [f"columns not read: {', '.join(said[:SHOWN])}{more}"] if said else []


def read(path: Path, *, quoted: bool = True) -> Table:
    """Read a table. Raises DataError for a file that is none, and for a column that is lacking.

    quoted: whether what cannot be read may be quoted; a recipe can name any file of the machine.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DataError(f"{path} is larger than {MAX_BYTES >> 20} MiB", "split the set")
        text = _decoded(path.read_bytes())
        is_json = path.suffix == ".jsonl"
        found = list(_json_lines(path, text) if is_json else _csv_rows(path, text, quoted))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"cannot read {path}: {error}", "save it as CSV in UTF-8") from error
    rows, unread = [], dict[str, None]()
    for line, cells in found:
        row: dict[str, Any] = {}
        for name, value in cells:
            column = plain_column(name)
            if column in COLUMNS and column in row:
                raise DataError(f"{path}:{line}: column {column} stands in it twice", _hint())
            if column in COLUMNS:
                row[column] = value
            elif column or not _is_blank(value):
                unread[plain(name.strip()) or "one without a name"] = None
        if not all(_is_blank(value) for _, value in cells):
            rows.append((line, row))
    if rows:
        _check_columns(path, {name for _, row in rows for name in row}, list(unread), quoted)
    return Table([(line, _filled(row)) for line, row in rows], list(unread))


def plain_column(name: str) -> str:
    """Return a column's name without case, white space and signs without width."""
    return name.strip(UNSEEN).strip().casefold()


def _decoded(content: bytes) -> str:
    for mark, encoding in ENCODINGS:
        if content.startswith(mark):
            return content.decode(encoding)
    if content[1:2] == b"\0":  # UTF-16 without its mark: the first sign is ASCII
        return content.decode("utf-16-le")
    return content.decode("utf-16-be" if content[:1] == b"\0" else "utf-8")


def _csv_rows(path: Path, text: str, quoted: bool) -> Iterator[tuple[int, list[tuple[str, Any]]]]:
    first = re.split(r"[\r\n]", text.lstrip(), maxsplit=1)[0]
    if given := re.fullmatch(r"sep=(.)\1*", first, re.IGNORECASE):  # a spreadsheet's own first line
        delimiter = given[1]
    else:
        delimiter = max(",;\t", key=re.sub(r'"[^"]*"', "", first).count)
    if delimiter == '"':
        raise DataError(f"{path}:1: columns cannot be parted by a quote", "write sep=; or sep=,")
    table = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    filled = (cells for cells in table if any(map(str.strip, cells)))
    if given:
        next(filled, None)
    header = next(filled, [])
    known = [column for name in header if (column := plain_column(name)) in COLUMNS]
    if len(set(known)) != len(known):
        raise DataError(f"{path}: a column stands in it twice", _hint())
    if any(header) and not known:
        _check_columns(path, set(), [name for name in header if name], quoted)
    for cells in filled:
        beyond = [cell for cell in cells[len(header) :] if cell.strip()]
        lacking = [name for name in header[len(cells) :] if name.strip()]
        if beyond or lacking:
            raise DataError(
                f"{path}:{table.line_num}: not as many fields as columns", "quote commas"
            )
        yield table.line_num, list(zip(header, cells, strict=False))


def _json_lines(path: Path, text: str) -> Iterator[tuple[int, list[tuple[str, Any]]]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}:{number}: not JSON: {error}", "one object a line") from error
        if not isinstance(row, dict):
            raise DataError(f"{path}:{number}: not an object", "one object a line")
        for name, value in row.items():
            if plain_column(name) in COLUMNS and isinstance(value, dict | list):
                raise DataError(f"{path}:{number}: {name} is not text or a number", _hint())
        yield number, list(row.items())


def _is_blank(value: Any) -> bool:
    if isinstance(value, float) and math.isnan(value):  # as pandas writes what is absent
        return True
    return value is None or (isinstance(value, str) and not value.strip(UNSEEN).strip())


def _filled(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.strip() if isinstance(value, str) else value
        for name, value in row.items()
        if not _is_blank(value)
    }


def _check_columns(path: Path, there: set[str], unread: Sequence[str], quoted: bool) -> None:
    """Raise DataError where a column that is needed stands nowhere, with what may mean it."""
    for needed in (("label",), SOURCES):
        if there & set(needed):
            continue
        if not quoted:
            size = sum(map(len, unread))
            text = f"{len(unread)} other columns, {size} characters" if unread else "none"
            raise DataError(f"cannot read {path}: no column {' or '.join(needed)}, {text}", _hint())
        for name in unread:
            if guess := _near(name, needed):
                raise DataError(f"{path}: unknown column {name!r}", f"did you mean {guess}?")
        others = f", only {', '.join(unread[:SHOWN])}" if unread else ""
        raise DataError(f"cannot read {path}: no column {' or '.join(needed)}{others}", _hint())


def _near(name: str, columns: Iterable[str]) -> str:
    found = difflib.get_close_matches(plain_column(name), sorted(columns), n=1)
    return found[0] if found else ""


def _guess(name: str, columns: Iterable[str]) -> str:
    guess = _near(name, columns)
    return f" (did you mean {guess}?)" if guess else ""


def _hint() -> str:
    return f"columns: {', '.join(COLUMNS)}"
