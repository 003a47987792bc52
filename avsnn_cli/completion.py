"""What a shell offers after Tab: names of recipes, runs, data sets and so on; imports no torch.

It reads names of files alone, so that 5,000 runs are listed at once. After any error nothing is
offered and nothing is printed: the text would land in the line that is being typed.
"""

import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from pipelines import registry
from pipelines.disk import store

Complete = Callable[[str], list[str]]
TOPICS = ("datasets", "features", "models", "recipes", "runs")
RECIPE_FILES = (".yaml", ".yml")


def silent() -> None:
    """Discard everything that this process writes on stderr: it only completes a line."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
    except (OSError, ValueError):  # closed, or no file
        sys.stderr = None


def _offering(names: Callable[[str], Iterable[str]]) -> Complete:
    """Turn a list of names into a completion: those that begin as typed, none after an error."""

    # not functools.wraps: Typer reads the signature, and needs that of `complete`
    def complete(incomplete: str) -> list[str]:
        try:
            return sorted({name for name in names(incomplete) if name.startswith(incomplete)})
        except Exception:  # an unreadable home must not disturb the line
            return []

    complete.__doc__ = names.__doc__
    return complete


@_offering
def topics(_incomplete: str) -> Iterable[str]:
    """Offer what `avsnn ls` lists."""
    return TOPICS


@_offering
def datasets(_incomplete: str) -> Iterable[str]:
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
def runs(_incomplete: str) -> Iterable[str]:
    """Offer the runs of the home."""
    return _in_home("runs")


@_offering
def compared(_incomplete: str) -> Iterable[str]:
    """Offer what `avsnn compare` takes: runs and sweeps."""
    sweeps = (name.removesuffix(".json") for name in _in_home("sweeps") if name.endswith(".json"))
    return (*_in_home("runs"), *sweeps)


@_offering
def papers(_incomplete: str) -> Iterable[str]:
    """Offer the papers that recipes name."""
    from pipelines.recipe.papers import papers as named

    return named()


def _in_home(folder: str) -> list[str]:
    """List the names in a folder of the home, without avsnn's own temporary files and locks."""
    try:
        # not Path.iterdir: it builds a path for each of what may be thousands
        return [name for name in os.listdir(store.home() / folder) if name[0] not in "._"]  # noqa: PTH208
    except FileNotFoundError:
        return []


def _bundled() -> Iterable[str]:
    folder = registry.bundled("recipes")
    return (f.relative_to(folder).with_suffix("").as_posix() for f in folder.rglob("*.yaml"))


def _files(incomplete: str) -> Iterable[str]:
    """List the YAML files and the folders, with a slash, of the folder that is typed so far."""
    begun = incomplete.rpartition("/")[0]
    before = f"{begun}/" if "/" in incomplete else ""
    try:
        entries = list(os.scandir(Path(before or ".").expanduser()))
    except OSError:
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        # folders only once a path is begun: else bundled names would drown in them
        if entry.name.endswith(RECIPE_FILES):
            yield before + entry.name
        elif before and entry.is_dir():
            yield f"{before}{entry.name}/"
