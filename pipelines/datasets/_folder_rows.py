"""Read the rows of the user's table, CSV or JSON lines, from a spreadsheet, pandas or a script."""

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

from pipelines.clips.walk import printable
from pipelines.errors import DataError

COLUMNS = ("audio", "image", "video", "label", "group", "split", "azimuth", "speaker")
SOURCES = COLUMNS[:3]
MAX_BYTES = 1 << 28
SHOWN = 8  # columns that are not read
# UTF-32 before UTF-16: the mark of UTF-32 LE begins with that of UTF-16 LE
ENCODINGS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
INVISIBLE = "\ufeff\u200b\u200c\u200d\u2060\xad"

Row = tuple[int, dict[str, Any]]


class Table(NamedTuple):
    """Rows with their line numbers, without blank cells, and the columns that are not read."""

    rows: list[Row]
    unread: list[str]

    def remarks(self) -> list[str]:
        """Return one line on the columns that are not read, with what a misspelt one may mean."""
        there = {name for _, row in self.rows for name in row}
        columns = [name + _guess(name, set(COLUMNS) - there) for name in self.unread]
        more = f" and {len(columns) - SHOWN} more" if len(columns) > SHOWN else ""
        return [f"columns not read: {', '.join(columns[:SHOWN])}{more}"] if columns else []


def read_table(path: Path, *, quoted: bool = True) -> Table:
    """Read a table. Raises DataError for a file that is not a table or lacks a column.

    quoted: whether messages may quote the file; a recipe can name any file of the machine.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DataError(f"{path} is larger than {MAX_BYTES >> 20} MiB", "split the set")
        text = _decoded(path.read_bytes())
        is_json = path.suffix == ".jsonl"
        records = list(_json_lines(path, text) if is_json else _csv_rows(path, text, quoted))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"cannot read {path}: {error}", "save it as CSV in UTF-8") from error
    rows, unread = [], dict[str, None]()
    for line, cells in records:
        row: dict[str, Any] = {}
        for name, value in cells:
            column = column_key(name)
            if column in COLUMNS and column in row:
                raise DataError(f"{path}:{line}: column {column} is there twice", _hint())
            if column in COLUMNS:
                row[column] = value
            elif column or not _is_blank(value):
                unread[printable(name.strip()) or "one without a name"] = None
        if not all(_is_blank(value) for _, value in cells):
            rows.append((line, row))
    if rows:
        _check_columns(path, {name for _, row in rows for name in row}, list(unread), quoted)
    return Table([(line, _filled(row)) for line, row in rows], list(unread))


def column_key(name: str) -> str:
    """Return a column's name without case, white space and signs without width."""
    return name.strip(INVISIBLE).strip().casefold()


def _decoded(content: bytes) -> str:
    """Return a table's text: by its byte order mark, else UTF-16 if a byte is 0, else UTF-8."""
    for mark, encoding in ENCODINGS:
        if content.startswith(mark):
            return content.decode(encoding)
    if content[1:2] == b"\0":  # UTF-16 without its mark, if the first character is ASCII
        return content.decode("utf-16-le")
    return content.decode("utf-16-be" if content[:1] == b"\0" else "utf-8")


def _csv_rows(path: Path, text: str, quoted: bool) -> Iterator[tuple[int, list[tuple[str, Any]]]]:
    # a spreadsheet may write sep=; as a line above the header
    first = re.split(r"[\r\n]", text.lstrip(), maxsplit=1)[0]
    if separator_line := re.fullmatch(r"sep=(.)\1*", first, re.IGNORECASE):
        delimiter = separator_line[1]
    else:
        # the sign that is most often in the header, not counting quoted names
        delimiter = max(",;\t", key=re.sub(r'"[^"]*"', "", first).count)
    if delimiter == '"':
        raise DataError(f"{path}:1: columns cannot be separated by a quote", "write sep=; or sep=,")
    table = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    filled = (cells for cells in table if any(map(str.strip, cells)))
    if separator_line:
        next(filled, None)
    header = next(filled, [])
    known = [column for name in header if (column := column_key(name)) in COLUMNS]
    if len(set(known)) != len(known):
        raise DataError(f"{path}: a column is there twice", _hint())
    if any(header) and not known:
        _check_columns(path, set(), [name for name in header if name], quoted)
    # a spreadsheet writes blank fields beyond the header, and leaves out columns without a name
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
        # a line may hold JSON of any shape: a list, or a dictionary in a cell
        if not isinstance(row, dict):
            raise DataError(f"{path}:{number}: not an object", "one object a line")
        for name, value in row.items():
            if column_key(name) in COLUMNS and isinstance(value, dict | list):
                raise DataError(f"{path}:{number}: {name} is not text or a number", _hint())
        yield number, list(row.items())


def _is_blank(value: Any) -> bool:
    if isinstance(value, float) and math.isnan(value):  # as pandas writes what is absent
        return True
    return value is None or (isinstance(value, str) and not value.strip(INVISIBLE).strip())


def _filled(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.strip() if isinstance(value, str) else value
        for name, value in row.items()
        if not _is_blank(value)
    }


def _check_columns(path: Path, there: set[str], unread: Sequence[str], quoted: bool) -> None:
    """Raise DataError if a required column is missing, naming a column that may be meant for it."""
    for needed in (("label",), SOURCES):
        if there & set(needed):
            continue
        # numbers alone: names of columns are content of a file that may be private
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
    matches = difflib.get_close_matches(column_key(name), sorted(columns), n=1)
    return matches[0] if matches else ""


def _guess(name: str, columns: Iterable[str]) -> str:
    guess = _near(name, columns)
    return f" (did you mean {guess}?)" if guess else ""


def _hint() -> str:
    return f"columns: {', '.join(COLUMNS)}"
