"""Read a YAML file as plain data, strictly, with the line and column of everything in it.

Duplicate keys, tags, anchors, aliases, merge keys, further documents and .inf/.nan are refused;
yaml_scalars decides which scalars are numbers.
"""

import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from pipelines.errors import AvsnnError, RecipeError
from pipelines.recipe.messages import Document, Fault, printable, render
from pipelines.recipe.schema_messages import faults_of
from pipelines.recipe.yaml_builder import build
from pipelines.recipe.yaml_syntax import split_lines

__all__ = ["Document", "Fault", "dump", "faults_of", "parse", "read_yaml", "render", "scan"]

MAX_BYTES = 256 * 1024


def read_yaml(path: Path, error: type[AvsnnError] = RecipeError) -> Document:
    """Read a file, at most 256 KiB of UTF-8. Raises `error` with all faults of the file."""
    return _without_faults(scan(path, error), error)


def parse(text: str, name: str, error: type[AvsnnError] = RecipeError) -> Document:
    """Read a text; name stands for the file in messages. Raises `error` with all faults of it."""
    return _without_faults(_document(text, name, error), error)


def scan(path: Path, error: type[AvsnnError] = RecipeError) -> Document:
    """Read a file; faults that the reader could read past are left in `Document.faults`.

    For callers that go on to check the data and report all faults at once. Raises `error` where
    there are no data to check: no readable file, not UTF-8, broken syntax, not a mapping.
    """
    name = printable(str(path))
    try:
        # A pipe would block, and a device has no end.
        if not stat.S_ISREG(path.stat().st_mode):
            raise error(f"{name}: not a file", hint="give the path of a YAML file")
        with path.open("rb") as file:
            # one byte more, to notice a larger file without reading it
            raw = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as cause:
        reason = (cause.strerror if isinstance(cause, OSError) else None) or str(cause)
        raise error(f"{name}: cannot be read: {reason}") from None
    if len(raw) > MAX_BYTES:
        raise error(f"{name}:1:1: larger than {MAX_BYTES // 1024} KiB")
    try:
        text = raw.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as cause:
        before = split_lines(raw[: cause.start].decode("utf-8"))
        document = Document({}, {}, name, split_lines(raw.decode("utf-8", errors="replace")))
        fault = Fault(len(before), len(before[-1]) + 1, (), "not UTF-8 text")
        raise error(render(document, [fault])) from None
    return _document(text, name, error)


def parse_value(text: str) -> tuple[Any, list[Fault]]:
    """Read one value, as `--set` gets it: return the scalar, list or mapping, and its faults."""
    if not text.strip():
        return None, [Fault(1, 1, (), "no value; write null for none")]
    builder = build(text)
    return builder.root, builder.faults


def _document(text: str, name: str, error: type[AvsnnError]) -> Document:
    builder = build(text)
    if builder.is_whole and not builder.holes & {()} and not isinstance(builder.root, dict):
        place = builder.values.get((), (1, 1))
        kind = "a list" if isinstance(builder.root, list) else "one value"
        fault = "the file is empty" if builder.root is None else f"must be a mapping (is {kind})"
        builder.refuse(place, (), fault)
    is_usable = builder.is_whole and isinstance(builder.root, dict)
    document = Document(
        data=builder.root if is_usable else {},
        positions=builder.positions,
        name=name,
        lines=split_lines(text),
        values=builder.values,
        faults=builder.faults,
        holes=builder.holes,
    )
    return document if is_usable else _without_faults(document, error)


def _without_faults(document: Document, error: type[AvsnnError]) -> Document:
    if document.faults:
        raise error(render(document, document.faults))
    return document


class _Dumper(yaml.SafeDumper):
    """Writes YAML that this module reads back unchanged."""

    def ignore_aliases(self, _data: Any) -> bool:
        """Return True: a value is written out each time, because aliases are refused on reading."""
        return True

    def write_text(self, text: str) -> yaml.ScalarNode:
        """Quote all but bare words: PyYAML alone leaves `1e-3` bare, for YAML 1.1 reads text."""
        style = None if re.fullmatch(r"[A-Za-z_][\w./-]*", text) else "'"
        return self.represent_scalar("tag:yaml.org,2002:str", text, style=style)

    def write_list(self, items: list[Any]) -> yaml.SequenceNode:
        """Keep a list on its line, as a person writes it."""
        return self.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=True)


_Dumper.add_representer(str, _Dumper.write_text)
_Dumper.add_representer(list, _Dumper.write_list)


def dump(data: Mapping[str, Any]) -> str:
    """Write plain data as YAML in its own order; reading it back gives the same data."""
    return yaml.dump(
        dict(data),
        Dumper=_Dumper,
        sort_keys=False,
        default_flow_style=False,
        allow_unicode=True,
        width=100,
    )
