"""What a shell offers after Tab: names of recipes, runs, data sets and so on; imports no torch.

Reads names of files alone, so that 5,000 runs answer at once. Whatever goes wrong, nothing is
offered and nothing is printed: the text would land in the line that is being typed.
"""

import os
import sys
from collections.abc import Callable, Iterable
from functools import wraps
from pathlib import Path

from pipelines import registry
from pipelines.disk import store

Complete = Callable[[str], list[str]]
TOPICS = ("datasets", "features", "models", "recipes", "runs")
RECIPE_FILES = (".yaml", ".yml")


def silent() -> None:
    """Send to nowhere what this process, which only completes, would write on stderr."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
    except (OSError, ValueError):  # closed, or no file
        sys.stderr = None


def _offering(names: Callable[[str], Iterable[str]]) -> Complete:
    """Make a completion of what lists names: those that begin as typed; none where it fails."""

    @wraps(names)
    def complete(incomplete: str) -> list[str]:
        try:
            return sorted({name for name in names(incomplete) if name.startswith(incomplete)})
        except Exception:  # an unreadable home must not disturb who types
            return []

    return complete


@_offering
def topics(incomplete: str) -> Iterable[str]:  # noqa: ARG001
    """Offer what `avsnn ls` lists."""
    return TOPICS


@_offering
def datasets(incomplete: str) -> Iterable[str]:  # noqa: ARG001
    """Offer the data sets."""
    return registry.names("dataset")


@_offering
def recipes(incomplete: str) -> Iterable[str]:
    """Offer the bundled recipes, and YAML files and folders as in a path that is begun."""
    return (*_bundled(), *_files(incomplete))


@_offering
def prepared(incomplete: str) -> Iterable[str]:
    """Offer what `avsnn prepare` takes: recipes and data sets."""
    return (*_bundled(), *_files(incomplete), *registry.names("dataset"))


@_offering
def shown(incomplete: str) -> Iterable[str]:
    """Offer what `avsnn show` takes: recipes, models, data sets and features."""
    modules = (name for kind in registry.PACKAGES for name in registry.names(kind))
    return (*_bundled(), *_files(incomplete), *modules)


@_offering
def runs(incomplete: str) -> Iterable[str]:  # noqa: ARG001
    """Offer the runs of the home."""
    return _in_home("runs")


@_offering
def compared(incomplete: str) -> Iterable[str]:  # noqa: ARG001
    """Offer what `avsnn compare` takes: runs and sweeps."""
    sweeps = (name.removesuffix(".json") for name in _in_home("sweeps") if name.endswith(".json"))
    return (*_in_home("runs"), *sweeps)


@_offering
def papers(incomplete: str) -> Iterable[str]:  # noqa: ARG001
    """Offer the papers that recipes name."""
    from pipelines.recipe.papers import papers as named

    return named()


def _in_home(folder: str) -> list[str]:
    """List the names in a folder of the home, but for what avsnn keeps for itself."""
    try:
        return [name for name in os.listdir(store.home() / folder) if name[0] not in "._"]  # noqa: PTH208
    except FileNotFoundError:
        return []


def _bundled() -> Iterable[str]:
    folder = registry.bundled("recipes")
    return (f.relative_to(folder).with_suffix("").as_posix() for f in folder.rglob("*.yaml"))


def _files(incomplete: str) -> Iterable[str]:
    """List the YAML files, and the folders with a slash, of the folder that is typed so far."""
    begun = incomplete.rpartition("/")[0]
    before = f"{begun}/" if "/" in incomplete else ""
    try:
        entries = list(os.scandir(Path(before or ".").expanduser()))
    except OSError:
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.name.endswith(RECIPE_FILES):
            yield before + entry.name
        elif before and entry.is_dir():
            yield f"{before}{entry.name}/"
