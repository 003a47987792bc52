"""The data sets, features, models and recipes: each is registered by its file being there.

Names of data sets and models use hyphens, their files underscores; a feature has the name of its
file, because its name stands in Python too. Listing reads only file names and docstrings, so that
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
SHOWN_NAMES = 20


def package_folder(kind: str) -> Path:
    """Return the folder that holds the modules of a kind, one file each."""
    return Path(__file__).parent.joinpath(*PACKAGES[kind].split(".")[1:])


def names(kind: str) -> list[str]:
    """List the names of a kind ("dataset", "feature", "model"), sorted."""
    files = package_folder(kind).glob("*.py")
    # a leading underscore: a file that modules of the kind share
    stems = sorted(file.stem for file in files if not file.stem.startswith("_"))
    return stems if kind == "feature" else sorted(stem.replace("_", "-") for stem in stems)


def summary(kind: str, name: str) -> str:
    """Return the first line of a module's docstring, without importing it."""
    # importing a model would import torch, and `avsnn ls` would take seconds
    source = (package_folder(kind) / f"{name.replace('-', '_')}.py").read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(source)) or "").split("\n")[0]


def closest(name: str, known: list[str]) -> str:
    """Return "did you mean …?" for a misspelt name, or else the first of the known names."""
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f"did you mean {near[0]}?"
    more = f" and {len(known) - SHOWN_NAMES} more" if len(known) > SHOWN_NAMES else ""
    return f"known: {', '.join(known[:SHOWN_NAMES])}{more}"


def module_name(kind: str, name: str) -> str:
    """Return the full name of the module of a data set, feature or model."""
    return f"{PACKAGES[kind]}.{name.replace('-', '_')}"


def load_module(kind: str, name: str) -> ModuleType:
    """Import a data set, feature or model. Raises UsageError with the nearest name."""
    # before the import: a name from a recipe must not choose just any module
    if name not in names(kind):
        raise UsageError(f"no {kind} {name!r}", closest(name, names(kind)))
    return importlib.import_module(module_name(kind, name))


def bundled(folder: str) -> Path:
    """Return the folder "recipes" or "data_manifests": inside the wheel, else beside the code."""
    installed = Path(__file__).parent / "bundled" / folder
    return installed if installed.is_dir() else Path(__file__).parent.parent / folder
