"""What there is: a dataset, feature, model or recipe is registered by its file being there.

Names of datasets and models use hyphens, their files underscores; a feature is called as its file
is, for its name stands in Python too. Listing reads only file names and docstrings, so that
`avsnn ls` imports no torch.
"""

import ast
import difflib
import importlib
from pathlib import Path
from types import ModuleType

from pipelines.errors import UsageError

PACKAGES = {
    "dataset": "pipelines.datasets",
    "feature": "pipelines.features",
    "model": "pipelines.models",
}
SHOWN = 20  # known names


def package_folder(kind: str) -> Path:
    """Return the folder whose files are the things of this kind."""
    return Path(__file__).parent.joinpath(*PACKAGES[kind].split(".")[1:])


def names(kind: str) -> list[str]:
    """List the names of a kind ("dataset", "feature", "model"), sorted."""
    files = package_folder(kind).glob("*.py")
    stems = sorted(file.stem for file in files if not file.stem.startswith("_"))
    return stems if kind == "feature" else sorted(stem.replace("_", "-") for stem in stems)


def summary(kind: str, name: str) -> str:
    """Return the first line of a module's docstring, without importing it."""
    source = (package_folder(kind) / f"{name.replace('-', '_')}.py").read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(source)) or "").split("\n")[0]


def closest(name: str, known: list[str]) -> str:
    """Return "did you mean …" for a misspelt name, or the known names, the first of many."""
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f"did you mean {near[0]}?"
    more = f" and {len(known) - SHOWN} more" if len(known) > SHOWN else ""
    return f"known: {', '.join(known[:SHOWN])}{more}"


def module_name(kind: str, name: str) -> str:
    """Return the name of the module that is the thing."""
    return f"{PACKAGES[kind]}.{name.replace('-', '_')}"


def load(kind: str, name: str) -> ModuleType:
    """Import the module that is the thing. Raises UsageError with the nearest name."""
    if name not in names(kind):
        raise UsageError(f"no {kind} {name!r}", closest(name, names(kind)))
    return importlib.import_module(module_name(kind, name))


def bundled(folder: str) -> Path:
    """Find a YAML folder ("recipes", "data_manifests"): inside the wheel, else beside the code."""
    installed = Path(__file__).parent / "bundled" / folder
    return installed if installed.is_dir() else Path(__file__).parent.parent / folder
