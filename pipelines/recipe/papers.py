"""The paper and tables that a bundled recipe belongs to: a line of its header, read strictly.

    # paper: s-cmrl, Table I, Table II

The paper has the name of its page in docs/papers; `# paper: none` marks a recipe that is in no
table of a paper.
"""

import re
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

from pipelines import registry
from pipelines.errors import RecipeError, UsageError
from pipelines.recipe.recipe import bundled_names

BEGIN = "# paper:"
# strict, because a misspelt line must not pass for `none`
LINE = re.compile(
    r"# paper: (?:none|(?P<paper>(?!none,)[a-z0-9-]+)(?P<tables>(?:, Table (?:[IVX]+|\d+))+))"
)


class Place(NamedTuple):
    """The paper and the tables that a recipe belongs to; "" and () where there is no paper."""

    paper: str
    tables: tuple[str, ...]


def place_of(path: Path) -> Place:
    """Return the paper and tables in a recipe's header. Raises RecipeError without that line."""
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
    """Return the papers that recipes name, sorted."""
    return sorted({place.paper for place in _places().values()} - {""})


def by_table(paper: str) -> list[tuple[str, str]]:
    """Return a paper's tables with their recipes: [("Table I", "crema_d/s_cmrl_paper"), …].

    Raises UsageError with the nearest name for a paper that no recipe names.
    """
    places, known = _places(), papers()
    if paper not in known:
        raise UsageError(
            f"--paper {paper}: no recipe names this paper", registry.closest(paper, known)
        )
    rows = [
        (table, name)
        for name, place in places.items()
        if place.paper == paper
        for table in place.tables
    ]
    return sorted(rows, key=lambda row: (_number(row[0]), row[1]))


def _places() -> dict[str, Place]:
    folder = registry.bundled("recipes")
    return {name: place_of(folder / f"{name}.yaml") for name in bundled_names()}


def _number(table: str) -> int:
    """Return the number of "Table IV" or "Table 4"."""
    written = table.removeprefix("Table ")
    if written.isdigit():
        return int(written)
    # a digit before a larger one counts negative: IV is 4
    digits = [{"I": 1, "V": 5, "X": 10}[letter] for letter in written]
    return sum(-d if d < max(digits[i:]) else d for i, d in enumerate(digits))
