"""Turn the events of a YAML parser into plain data, and collect the faults.

No recursion, so that no nesting exhausts the stack; and no object of a file's choosing is made.
"""

from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml

from pipelines.recipe.messages import Fault, KeyPath, Place, show
from pipelines.recipe.yaml_scalars import CONTROL, plain_scalar
from pipelines.recipe.yaml_syntax import split_lines, syntax_place, syntax_text

MAX_DEPTH = 20
MAX_NODES = 20_000  # PyYAML needs about a second for them


class _Stop(Exception):
    """The rest of the file after this place cannot be read."""


@dataclass
class _Open:
    """A mapping or sequence whose end has not come yet."""

    content: dict[str, Any] | list[Any]
    path: KeyPath
    key: str | None = None  # a mapping's key that waits for its value
    is_kept: bool = True  # false: that key was refused, its value is read and dropped
    lines: dict[str, int] = field(default_factory=dict)


@dataclass
class Builder:
    """Plain data and faults, built from parser events one at a time."""

    root: Any = None
    documents: int = 0
    positions: dict[KeyPath, Place] = field(default_factory=dict)
    values: dict[KeyPath, Place] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    holes: set[KeyPath] = field(default_factory=set)
    unclosed: list[_Open] = field(default_factory=list)
    nodes: int = 0
    is_whole: bool = False

    def refuse(self, place: Place, path: KeyPath, text: str) -> None:
        """Record a fault and go on."""
        self.faults.append(Fault(*place, path, text))

    def stop(self, place: Place, text: str) -> NoReturn:
        """Record a fault and end the reading."""
        self.refuse(place, (), text)
        raise _Stop

    def take(self, event: Any) -> None:
        """Add the parser's next event."""
        place = (event.start_mark.line + 1, event.start_mark.column + 1)
        if isinstance(event, yaml.NodeEvent):
            self.properties(event, place)
        match event:
            case yaml.DocumentStartEvent():
                self.documents += 1
                if self.documents > 1:
                    self.stop(place, "a second document; one file holds one document")
            case yaml.AliasEvent():
                self.add(None, place, is_hole=True)
            case yaml.ScalarEvent():
                self.scalar(event, place)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                content: Any = {} if isinstance(event, yaml.MappingStartEvent) else []
                path = self.add(content, place, is_hole=event.tag is not None)
                if len(self.unclosed) == MAX_DEPTH:
                    self.stop(place, f"nested deeper than {MAX_DEPTH} levels")
                self.unclosed.append(_Open(content, path))
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self.unclosed.pop()

    def properties(self, event: Any, place: Place) -> None:
        """Refuse what a node carries besides its data: alias, anchor, tag."""
        self.nodes += 1
        if self.nodes > MAX_NODES:
            self.stop(place, f"more than {MAX_NODES} values")
        path = self.next_path()
        if isinstance(event, yaml.AliasEvent):
            self.refuse(place, path, f"alias *{str(event.anchor)[:40]}; write the value out")
            return
        if event.anchor is not None:
            self.refuse(place, path, f"anchor &{event.anchor[:40]}; write the value out")
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            self.refuse(place, path, f"tag {show(tag)}; only plain data is read")

    def scalar(self, event: Any, place: Place) -> None:
        """Add a scalar; one that cannot be kept leaves a hole."""
        value: Any = event.value
        is_plain, is_hole = event.implicit[0], event.tag is not None
        try:
            if is_plain:
                value = plain_scalar(value)
            if isinstance(value, str) and CONTROL.search(value):
                raise ValueError(f"control character in {show(value)}")
        except ValueError as cause:
            self.refuse(place, self.next_path(), str(cause))
            value, is_hole = None, True  # reported: the schema must not report it again
        self.add(value, place, is_hole, is_merge=is_plain and value == "<<")

    def next_path(self) -> KeyPath:
        """Return the path of the next node; a key has its mapping's path."""
        if not self.unclosed:
            return ()
        top = self.unclosed[-1]
        if isinstance(top.content, list):
            return (*top.path, len(top.content))
        return top.path if top.key is None else (*top.path, top.key)

    def add(
        self, value: Any, place: Place, is_hole: bool = False, is_merge: bool = False
    ) -> KeyPath:
        """Add a node to the list or mapping that is open and return its path."""
        path = self.next_path()
        top = self.unclosed[-1] if self.unclosed else None
        if top is None:
            self.root = value
        elif isinstance(top.content, list):
            top.content.append(value)
        elif top.key is None:
            return self.add_key(top, value, place, is_hole, is_merge)
        else:
            if top.is_kept:
                top.content[top.key] = value
            top.key = None
        if is_hole:
            self.holes.add(path)
        # What stands under a refused key must not move what was read before it.
        self.positions.setdefault(path, place)
        self.values.setdefault(path, place)
        return path

    def add_key(
        self, top: _Open, value: Any, place: Place, is_hole: bool, is_merge: bool
    ) -> KeyPath:
        """Make a node the key of the next value; a key that is refused drops that value."""
        top.key = value if isinstance(value, str) else show(value)
        top.is_kept = False
        path = (*top.path, top.key)
        if is_merge:
            self.refuse(place, top.path, "merge key; write the keys out")
            self.holes.add(top.path)
        elif not isinstance(value, str):
            if not is_hole:
                kind = "a list" if isinstance(value, list) else show(value)
                self.refuse(place, top.path, f"a key must be text (is {kind})")
        elif top.key in top.lines:
            first = top.lines[top.key]
            where = f" (first on line {first})" if first != place[0] else ""
            self.refuse(place, path, f"duplicate key{where}")
        else:
            top.is_kept = True
            top.lines[top.key] = place[0]
            self.positions.setdefault(path, place)
        return path


def build(text: str) -> Builder:
    """Read a text as far as possible; the builder's `is_whole` is True if that was all of it."""
    builder = Builder()
    for number, line in enumerate(split_lines(text), start=1):
        for match in CONTROL.finditer(line):
            builder.refuse((number, match.start() + 1), (), f"control character {match[0]!r}")
    # PyYAML would stop at the first of them, and count lines in another way than an editor
    if builder.faults:
        return builder
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            builder.take(event)
        builder.is_whole = True
    except _Stop:
        pass
    except yaml.MarkedYAMLError as cause:
        opened = builder.unclosed[-1].path if builder.unclosed else ()
        place = syntax_place(cause, text, builder.values.get(opened, (1, 1)))
        builder.refuse(place, (), syntax_text(cause))
    # PyYAML lets the last two escape, from "\\UFFFFFFFF" and from %YAML with endless digits.
    except (yaml.YAMLError, ValueError, OverflowError) as cause:
        place = max(builder.values.values(), default=(1, 1))
        builder.refuse(place, (), f"not valid YAML from here on: {cause}")
    return builder
