"""Names of systems in figures: what tells them apart comes first, what they share is left out."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pipelines.figures.labels import common_start

Row = Mapping[str, Any]
# as compare.compare names a system: recipe (settings) [run]
SYSTEM = re.compile(r"(?P<recipe>.*?)(?: \((?P<settings>.*)\))?(?: \[(?P<run>\w+)\])?", re.DOTALL)


def names_apart(rows: Sequence[Row]) -> tuple[list[str], str]:
    """Return names for the figures that begin with what tells the systems apart, and the rest.

    A name is the settings without their sections, then the recipe: "alpha=1.5, s_cmrl". A recipe
    that all rows share, or the same end of all recipes' names, stands in no name: it is the second
    value, for the headline, "" where there is none. No two names are the same.
    """
    systems = [row["system"] for row in rows]
    parts = [SYSTEM.fullmatch(system) for system in systems]
    recipes = _recipe_names([part["recipe"] if part else "" for part in parts])
    own = [_own_part(part) if part else "" for part in parts]
    shared = ""
    if len(rows) > 1 and len(set(recipes)) == 1:
        names, shared = own, recipes[0]
    else:
        end = _shared_end(sorted(set(recipes)))
        names = [
            ", ".join(filter(None, (first, recipe.removesuffix(end))))
            for first, recipe in zip(own, recipes, strict=True)
        ]
        shared = f"recipes …{end}" if end else ""
    # a system's own name is one of a kind
    return (names, shared) if len(set(names) - {""}) == len(rows) else (systems, "")


def _own_part(part: re.Match[str]) -> str:
    """Return what follows the recipe in a system's name, without the settings' sections."""
    settings = re.sub(r"(^|, )(?:\w+\.)+(?=\w+=)", r"\1", part["settings"] or "")
    return ", ".join(filter(None, (part["run"], settings)))


def _recipe_names(recipes: Sequence[str]) -> list[str]:
    """Leave out the recipes' folders, unless two recipes would then be called the same."""
    names = [recipe.rpartition("/")[2] for recipe in recipes]
    return names if len(set(names)) == len(set(recipes)) else list(recipes)


def _shared_end(names: Sequence[str]) -> str:
    """Return the "_words" in which all of several names end, "" if a name is nothing else."""
    backwards = common_start([name[::-1] for name in names]) if len(names) > 1 else ""
    end = backwards[: backwards.rfind("_") + 1][::-1]
    return "" if end in names else end
