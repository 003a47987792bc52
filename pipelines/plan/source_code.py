"""The code that makes a result: a hash of each module of avsnn that has a part in it.

A hash is over the syntax tree, so that comments, docstrings and layout do not count, nor do the
sentences that explain a setting (`Field(description=…)`). Imports are read off the trees and not
carried out, so that a plan needs no torch. Each file is read once a process, because a process
runs the code that it has loaded, whatever is edited meanwhile.
"""

import ast
import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from typing import NamedTuple

from pipelines.errors import MachineError

OURS = "pipelines"
# modules that find, keep, check or report something, and through which no number goes; the settings
# of a schema and the machine are recorded by themselves. A test holds that each of them exists.
APART = frozenset(
    f"{OURS}.{name}"
    for name in (
        "device",
        "errors",
        "registry",
        "disk.look",
        "disk.paths",
        "disk.seal",
        "disk.store",
        "recipe.messages",
        "recipe.noise",
        "recipe.recipe",
        "recipe.schema",
        "download.manifest",
        "clips.leaks",
        "results.run_files",
        "results.run_order",
        "results.schemas",
        "plan.data_plan",
        "plan.plan",
        "plan.run_code",
        "plan.source_code",
        "cache.class_counts",
        "cache.excluded_share",
        "cache.receipts",
        "training.interrupt",
    )
)
# fields of a tree that do not change what it does, or that not all versions of Python have
IGNORED_FIELDS = frozenset({"kind", "type_comment", "type_ignores", "ctx"})


class _Source(NamedTuple):
    path: str
    digest: str
    imports: frozenset[str]


def code_of(*modules: str) -> dict[str, str]:
    """Return {"pipelines/snn/lif.py": hash} of modules and of all of ours that they import."""
    sources: dict[str, _Source] = {}
    waiting = set(modules)
    while waiting:
        name = waiting.pop()
        sources[name] = source = _source(name)
        # what APART imports is not followed either, unless another module imports it
        waiting |= source.imports - APART - sources.keys()
    # an empty __init__.py is there in every package, and does nothing
    return dict(sorted((s.path, s.digest) for s in sources.values() if s.digest))


def changed(then: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """List the files whose code differs between two results of `code_of`, or is only in one."""
    return sorted(path for path in {**then, **now} if then.get(path) != now.get(path))


def shortly(paths: list[str], shown: int = 3) -> str:
    """Return the first files' names and the number of the others, as one text."""
    more = f" and {len(paths) - shown} more" if len(paths) > shown else ""
    return ", ".join(paths[:shown]) + more


def digest(source: str) -> str:
    """Return a hash of what a source does, in 12 hex digits; "" for a source that does nothing.

    It is the same in every version of Python. All parts of the syntax tree count but comments,
    docstrings and other texts that stand alone, descriptions of settings, and line numbers. A field
    that is empty is left out, because newer versions have more of them.
    """
    tree = _as_lists(ast.parse(source))
    if tree == ["Module"]:
        return ""
    return hashlib.sha256(json.dumps(tree, separators=(",", ":")).encode()).hexdigest()[:12]


def _as_lists(node: object) -> object:
    """Return a tree as nested lists: [type, field, value, field, value, …]."""
    if isinstance(node, ast.Constant):
        value = node.value
        # what repr() escapes in a text depends on the version's table of Unicode
        return ["Constant", type(value).__name__, value if isinstance(value, str) else repr(value)]
    if isinstance(node, ast.JoinedStr):
        # Python 3.12.1 ends some formats with an empty text, as in f"{x:>{width}}"
        parts = [_as_lists(part) for part in node.values]
        return ["JoinedStr", *(part for part in parts if part != ["Constant", "str", ""])]
    if isinstance(node, ast.Call):
        node = _without_description(node)
    if isinstance(node, ast.AST):
        fields: list[object] = [type(node).__name__]
        for name in sorted(node._fields):
            part = None if name in IGNORED_FIELDS else _as_lists(getattr(node, name, None))
            if name == "format_spec" and part == ["JoinedStr"]:
                continue  # f"{x:}", which some versions take for f"{x}"
            if part is not None and part != []:
                fields += [name, part]
        return fields
    if isinstance(node, list):
        return [_as_lists(part) for part in node if not _is_remark(part)]
    return node


def _without_description(call: ast.Call) -> ast.Call:
    """Return a call of pydantic's Field without its description, any other call as it is."""
    if not (isinstance(call.func, ast.Name) and call.func.id == "Field"):
        return call
    kept = [keyword for keyword in call.keywords if keyword.arg != "description"]
    return ast.Call(func=call.func, args=call.args, keywords=kept)


def _is_remark(node: object) -> bool:
    """Return whether a statement is a text that stands alone, such as a docstring."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


@cache
def _source(name: str) -> _Source:
    spec = _spec(name)
    path = name.replace(".", "/") + ("/__init__.py" if _is_package(spec) else ".py")
    # by the loader, not by the path: avsnn may run from a zip
    get = getattr(spec.loader, "get_source", None)
    text = get(name) if get else None
    if text is None:
        raise MachineError(
            f"{path} has no source: what a result is made with cannot be told",
            "install avsnn with its .py files",
        )
    imports = set(_imports(ast.parse(text), name, package=_is_package(spec)))
    # importing a module runs the package above it
    parents = {name.rpartition(".")[0]} - {""}
    return _Source(path, digest(text), frozenset(imports | parents))


def _spec(name: str) -> ModuleSpec:
    spec = find_spec(name)
    if spec is None:
        raise MachineError(f"no module {name}", "install avsnn again")
    return spec


def _is_package(spec: ModuleSpec) -> bool:
    return spec.submodule_search_locations is not None


def _imports(tree: ast.AST, name: str, *, package: bool) -> Iterator[str]:
    """List the modules of avsnn that a module imports, at its top or inside a function."""
    for node in _run(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if _is_ours(alias.name):
                    yield alias.name
        elif isinstance(node, ast.ImportFrom):
            parts = name.split(".")
            # a relative import counts its dots from the package: a package's own name is one
            above = parts[: len(parts) - node.level + package] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            if not _is_ours(base):
                continue
            yield base
            if _is_package(_spec(base)):  # then what is imported may be a module of it
                names = [f"{base}.{alias.name}" for alias in node.names]
                yield from (full for full in names if find_spec(full) is not None)


def _run(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a tree but those under `if TYPE_CHECKING`, which never run."""
    yield node
    for child in ast.iter_child_nodes(node):
        checked = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test)
        if not checked:
            yield from _run(child)


def _is_ours(name: str) -> bool:
    return name == OURS or name.startswith(f"{OURS}.")
