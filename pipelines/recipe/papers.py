"""Which paper and tables a bundled recipe belongs to: a line of its header, read strictly.

    # paper: s-cmrl, Table I, Table II

The paper is named as its page in docs/papers; `# paper: none` is a recipe that stands in no table
of a paper.
"""

import re
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

from pipelines import registry
from pipelines.errors import RecipeError, UsageError
from pipelines.recipe.recipe import bundled_names

BEGIN = "# paper:"
LINE = re.compile(
    r"# paper: (?:none|(?P<paper>(?!none,)[a-z0-9-]+)(?P<tables>(?:, Table (?:[IVX]+|\d+))+))"
)


class Place(NamedTuple):
    """The paper and the tables that a recipe belongs to; "" and none where there is no paper."""

    paper: str
    tables: tuple[str, ...]


def place_of(path: Path) -> Place:
    """Read the paper and tables off a recipe's header. Raises RecipeError if it does not say so."""
    lines = path.read_text(encoding="utf-8").splitlines()
    header = takewhile(lambda line: line.startswith("#"), lines)
    written = [line for line in header if line.startswith(BEGIN)]
    match = LINE.fullmatch(written[0]) if len(written) == 1 else None
    if match is None:
        raise RecipeError(
            f"{path}: the header needs one line `{BEGIN} NAME, Table N` or `{BEGIN} none`",
            "see docs/papers for the names",
        )
    return Place(match["paper"] or "", tuple((match["tables"] or "").split(", ")[1:]))


def papers() -> list[str]:
    """List the papers that recipes name, sorted."""
    return sorted({place.paper for place in _places().values()} - {""})


def by_table(paper: str) -> list[tuple[str, str]]:
    """List a paper's tables with the recipes of each: [("Table I", "crema_d/s_cmrl_paper"), …].

    Raises UsageError with the nearest name for a paper that no recipe names.
    """
    places, known = _places(), papers()
    if paper not in known:
        raise UsageError(f"--paper {paper}: no recipe is of it", registry.closest(paper, known))
    rows = [
        (table, name) for name, place in places.items() if place.paper == paper
        for table in place.tables
    ]  # fmt: skip
    return sorted(rows, key=lambda row: (_number(row[0]), row[1]))


def _places() -> dict[str, Place]:
    folder = registry.bundled("recipes")
    return {name: place_of(folder / f"{name}.yaml") for name in bundled_names()}


def _number(table: str) -> int:
    """Return the number of "Table IV" or "Table 4"."""
    written = table.removeprefix("Table ")
    if written.isdigit():
        return int(written)
    digits = [{"I": 1, "V": 5, "X": 10}[letter] for letter in written]
    return sum(-d if d < max(digits[i:]) else d for i, d in enumerate(digits))
