"""Damage of every kind to what was valid: bytes, lines of text, values of JSON, names."""

import copy
import json
from typing import Any

from hypothesis import strategies as st

HUGE = 10**400
WORDS = (
    "",
    " ",
    "x",
    "0",
    "-1",
    "nan",
    "1e999",
    "../..",
    "/etc/passwd",
    "~nosuch",
    "x" * 300,
    "x" * 5000,
    "\0",
    "a\nb",
    "\x1b[31m",
    "\u2028",
    "\x85",
    "\u202e",
    "\ud800",
    "a\udcffb",
    "\udc00\ud800",
    "\ufeff",
    "\u200b",
    "e\u0301",
    "é",
    "=1+1",
    "[bold]",
    "{}",
    "%s",
    "train",
)
VALUES = (
    None,
    True,
    False,
    0,
    1,
    -1,
    99,
    2**31,
    2**63,
    2**64,
    HUGE,
    -HUGE,
    0.0,
    -0.0,
    0.5,
    1e308,
    -1e308,
    5e-324,
    float("nan"),
    float("inf"),
    float("-inf"),
    [],
    {},
    [[]],
    [None],
    {"": 1},
    {"\ud800": 1},
    ["\udfff"],
    {"a": {"a": {}}},
    *WORDS,
)
# what no Python object is written as
RAW = (
    "[" * 100_000,
    "[" * 3000 + "]" * 3000,
    '{"a":' * 3000 + "1" + "}" * 3000,
    "9" * 5000,
    "1e999",
    '"\\ud800"',
    "NaN",
    "-Infinity",
    '"\x01"',
    "01",
    "{} {}",
    "'x'",
    "\xa0",
    "\\u0000",
)
MARK = "@raw@"
PIECES = (
    b"\0" * 512,
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\xed\xa0\x80",
    b"\n",
    b"\r",
    b'"',
    b"\t",
    b",",
)

words = st.sampled_from(WORDS) | st.text(max_size=20) | st.text(st.characters(), max_size=8)
# each drawn anew: what was drawn may be changed further
values = st.sampled_from(VALUES).map(copy.deepcopy) | words | st.integers() | st.floats()


def damaged(content: bytes) -> st.SearchStrategy[bytes]:
    """Flip bits, cut short, repeat, insert and overwrite."""
    place = st.integers(0, max(len(content) - 1, 0))
    piece = st.binary(max_size=16) | st.sampled_from(PIECES)
    edits = st.one_of(
        st.tuples(st.just("flip"), place, st.integers(0, 7)),
        st.tuples(st.just("cut"), place, st.none()),
        st.tuples(st.just("insert"), place, piece),
        st.tuples(st.just("over"), place, piece),
        st.tuples(st.just("drop"), place, st.integers(1, 64)),
        st.tuples(st.just("twice"), place, st.integers(1, 200)),
    )
    return st.lists(edits, min_size=1, max_size=3).map(lambda all_: _edited(content, all_))


def _edited(content: bytes, edits: list[tuple[str, int, Any]]) -> bytes:
    for kind, at, with_ in edits:
        head, tail = content[:at], content[at:]
        if kind == "flip" and tail:
            content = head + bytes([tail[0] ^ (1 << with_)]) + tail[1:]
        elif kind == "cut":
            content = head
        elif kind == "insert":
            content = head + with_ + tail
        elif kind == "over":
            content = head + with_ + tail[len(with_) :]
        elif kind == "drop":
            content = head + tail[with_:]
        elif kind == "twice":
            content = head + tail[:with_] + tail
    return content


def lines(content: bytes) -> st.SearchStrategy[bytes]:
    """Lose lines, double them, exchange them."""
    parts = content.split(b"\n")
    place = st.integers(0, len(parts) - 1)
    edit = st.tuples(st.sampled_from(("lose", "double", "swap")), place, place)
    return st.lists(edit, min_size=1, max_size=3).map(lambda all_: _relined(parts, all_))


def _relined(parts: list[bytes], edits: list[tuple[str, int, int]]) -> bytes:
    parts = list(parts)
    for kind, one, other in edits:
        one, other = (min(i, len(parts) - 1) for i in (one, other))
        if one < 0:
            break
        if kind == "lose":
            parts.pop(one)
        elif kind == "double":
            parts.insert(other, parts[one])
        else:
            parts[one], parts[other] = parts[other], parts[one]
    return b"\n".join(parts)


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """List the paths of everything in nested JSON, of a long list or mapping the ends."""
    keys = list(node) if isinstance(node, dict) else list(range(len(node)))
    paths = []
    for key in keys if len(keys) <= 24 else [*keys[:4], *keys[-2:]]:
        paths.append((*path, key))
        if isinstance(node[key], dict | list):
            paths += places(node[key], (*path, key))
    return paths


@st.composite
def changed(draw: st.DrawFn, content: Any) -> Any:
    """Change, lose, add and exchange values anywhere in nested JSON."""
    whole = copy.deepcopy(content)
    for _ in range(draw(st.integers(1, 2))):
        if not isinstance(whole, dict | list) or not (known := places(whole)):
            return draw(values)
        *way, last = draw(st.sampled_from(known))
        node = whole
        for key in way:
            node = node[key]
        match draw(st.sampled_from(("set", "set", "set", "lose", "add", "nest", "near"))):
            case "set":
                node[last] = draw(values)
            case "lose":
                del node[last]
            case "add" if isinstance(node, dict):
                node[draw(words)] = draw(values)
            case "nest":
                node[last] = draw(st.sampled_from(([node[last]], {"a": node[last]})))
            case "near" if isinstance(node[last], int | float):
                node[last] = draw(st.sampled_from((-node[last], node[last] + 1, HUGE, 1e-9)))
            case _:
                node[last] = draw(values)
    return whole


def as_json(content: Any) -> bytes:
    """Write JSON that holds whatever Python does, lone surrogates as their escapes."""
    return json.dumps(content).encode()


@st.composite
def _with_raw(draw: st.DrawFn, content: Any) -> bytes:
    """Put a text that Python would not write in the place of one value, or a key in twice."""
    whole = copy.deepcopy(content)
    *way, last = draw(st.sampled_from(places(whole)))
    node = whole
    for key in way:
        node = node[key]
    raw = draw(st.sampled_from(RAW))
    if isinstance(node, dict) and draw(st.booleans()):
        raw = f"{json.dumps(node[last])}, {json.dumps(last)}: {json.dumps(draw(values))}"
    node[last] = MARK
    return json.dumps(whole).replace(json.dumps(MARK), raw).encode()


def damaged_json(content: Any) -> st.SearchStrategy[bytes]:
    """Damage a JSON file in all ways, bytes and values; the valid one is among them."""
    text = (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()
    return st.one_of(
        st.just(text),
        damaged(text),
        lines(text),
        changed(content).map(as_json),
        _with_raw(content),
        st.sampled_from(RAW).map(str.encode),
        values.map(as_json),
    )


def damaged_lines(rows: list[Any]) -> st.SearchStrategy[bytes]:
    """Damage JSON lines in all ways."""
    whole = [as_json(row) for row in rows]
    text = b"\n".join(whole) + b"\n"

    @st.composite
    def one_line(draw: st.DrawFn) -> bytes:
        at = draw(st.integers(0, len(rows) - 1))
        bad = draw(changed(rows[at]).map(as_json) | _with_raw(rows[at]))
        return b"\n".join([*whole[:at], bad, *whole[at + 1 :]]) + b"\n"

    return st.one_of(st.just(text), damaged(text), lines(text), one_line(), one_line())
