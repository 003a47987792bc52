"""Overrides of a recipe on the command line, `--set a.b=VALUE`."""

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pipelines.errors import UsageError
from pipelines.recipe.messages import Document, Fault, KeyPath, dotted, printable
from pipelines.recipe.yaml_reader import parse_value

SHOWN_CHARACTERS = 80


def with_overrides(document: Document, overrides: Sequence[str]) -> Document:
    """Return the document with the values of `a.b=VALUE` in place of its own.

    VALUE is read as strictly as a file; its faults are added to the document's. Whether the path
    exists is checked later, by the schema. Raises UsageError for an override without `=` or path.
    """
    changed = replace(
        document,
        data=copy.deepcopy(document.data),
        faults=list(document.faults),
        holes=set(document.holes),
        sources=dict(document.sources),
    )
    for override in overrides:
        _override(changed, override)
    return changed


def _override(document: Document, override: str) -> None:
    name, equals, text = override.partition("=")
    path = tuple(name.strip().split("."))
    label = "--set " + printable(override[:SHOWN_CHARACTERS])
    if not equals or not all(path):
        raise UsageError(f"{label}: not of the form a.b=VALUE", "such as --set train.epochs=3")
    # of two overrides of one path the order would decide: neither silently wins
    before = next((source for source in document.sources if _overlap(source, path)), None)
    if before is not None:
        fault = f"already set by {document.sources[before]}"
        document.faults.append(Fault(0, 0, path, fault, label))
        return
    document.sources[path] = label
    value, inner = parse_value(text)
    document.faults.extend(
        replace(f, line=0, col=0, path=path + f.path, source=label) for f in inner
    )
    if inner:  # the schema must not report the missing value as a second fault
        document.holes.add(path)
    _put(document, path, value, label)


def _overlap(first: KeyPath, second: KeyPath) -> bool:
    shorter = min(len(first), len(second))
    return first[:shorter] == second[:shorter]


def _put(document: Document, path: KeyPath, value: Any, label: str) -> None:
    node: Any = document.data
    for length, part in enumerate(path[:-1], start=1):
        node = node.setdefault(part, {})
        if not isinstance(node, dict):
            fault = f"{dotted(path[:length])} is not a section"
            document.faults.append(Fault(0, 0, path, fault, label))
            return
    node[path[-1]] = value
