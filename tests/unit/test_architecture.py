"""Imports go one way, folders say what goes in and out, and the map in docs agrees with both."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.disk import store

ROOT = Path(store.__file__).parents[2]
PAGE = ROOT / "docs/architecture.md"
GROUND = ["errors", "device", "registry"]  # files at the top, below all folders


def order() -> list[str]:
    """Return the folders in the order of the page's table."""
    return re.findall(r"^\| `pipelines/(\w+)/` \|", PAGE.read_text(encoding="utf-8"), re.M)


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted((ROOT / "pipelines").rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        yield name, ast.parse(path.read_text(encoding="utf-8"))


def imports(tree: ast.AST) -> Iterator[str]:
    """List what a module imports, in functions and for type checkers too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def test_the_page_lists_every_folder_once():
    folders = {
        path.name for path in (ROOT / "pipelines").iterdir() if (path / "__init__.py").exists()
    }
    assert sorted(order()) == sorted(folders) and len(order()) == len(folders)


def test_no_folder_imports_a_later_one():
    place = {name: number for number, name in enumerate([*GROUND, *order()])}
    back = [
        f"{name} imports {imported}"
        for name, tree in modules()
        for imported in imports(tree)
        if imported.startswith("pipelines.")
        and name != "pipelines"
        and place[imported.split(".")[1]] > place[name.split(".")[1]]
    ]
    assert back == []


def test_the_work_knows_nothing_of_the_command_line():
    assert not [
        (name, i)
        for name, tree in modules()
        for i in imports(tree)
        if i.startswith(("avsnn_cli", "typer"))
    ]


def test_no_two_modules_import_each_other():
    """Not even for type checkers: what two modules share is a third one's."""
    known = {name for name, _ in modules()}
    graph = {
        name: {i if i in known else i.rpartition(".")[0] for i in imports(tree)} - {name}
        for name, tree in modules()
    }
    assert [(a, b) for a, seen in graph.items() for b in seen & known if a in graph[b]] == []


def test_few_files_stand_at_the_top():
    assert sorted(path.stem for path in (ROOT / "pipelines").glob("*.py")) == sorted(
        ["__init__", *GROUND]
    )


@pytest.mark.parametrize("folder", order())
def test_a_folder_says_in_one_sentence_what_goes_in_and_out(folder):
    doc = ast.get_docstring(ast.parse((ROOT / f"pipelines/{folder}/__init__.py").read_text()))
    assert doc and doc.endswith(".") and "\n" not in doc
    row = next(line for line in PAGE.read_text().splitlines() if f"`pipelines/{folder}/`" in line)
    assert doc in row


def test_each_file_that_the_page_names_is_there():
    named = re.findall(
        r"`((?:pipelines|avsnn_cli|tests|recipes|docs)/[\w/.*-]+)`", PAGE.read_text()
    )
    assert len(named) > 40
    assert [name for name in named if not list(ROOT.glob(name.rstrip("/")))] == []
