"""Every bundled recipe says which paper and tables it belongs to, as docs/papers has it."""

import re
from pathlib import Path

import pytest

from pipelines.errors import RecipeError, UsageError
from pipelines.recipe import recipe as recipes
from pipelines.recipe.papers import Place, by_table, place_of
from pipelines.recipe.yaml_reader import scan

PAGES = sorted((Path(__file__).parents[2] / "docs/papers").glob("*.md"))
NAMES = recipes.bundled_names()


@pytest.mark.parametrize("name", NAMES)
def test_every_recipe_has_a_paper_that_has_a_page_or_says_none(name):
    place = place_of(recipes.find(name))
    assert place.paper in ("", *(page.stem for page in PAGES))
    assert bool(place.paper) == bool(place.tables)
    assert len(set(place.tables)) == len(place.tables)


@pytest.mark.parametrize("name", NAMES)
def test_a_published_figure_is_of_a_table_that_the_header_names(name):
    published = scan(recipes.find(name)).data.get("published")
    if published:
        place = place_of(recipes.find(name))
        paper, table = re.match(r"(.+), (Table \w+)", published["source"]).groups()
        assert place.paper == paper.lower() and table in place.tables


def of_page(page):
    """List the tables of a page with the recipes of the commands below each heading."""
    tables, found = [], set()
    for line in page.read_text(encoding="utf-8").splitlines():
        if heading := re.match(r"\*\*Tables? ([\w ]+)\*\*", line):
            tables = [f"Table {number}" for number in heading[1].split(" and ")]
        elif line.startswith("**"):
            tables = []
        elif line.startswith("avsnn sweep "):
            names = line.split(" --")[0].split()[2:]
            found |= {(table, name) for table in tables for name in names}
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_commands_of_a_papers_page_are_of_the_tables_that_headers_name(page):
    listed = set(by_table(page.stem))
    # SMLP's first two tables share a command, for one data set each
    shared = {("Table II", name) for _, name in listed if page.stem == "smlp"}
    assert of_page(page) - shared <= listed


def test_tables_come_in_their_own_order():
    tables = list(dict.fromkeys(table for table, _ in by_table("s-cmrl")))
    assert tables == ["Table I", "Table II", "Table III", "Table IV"]
    tables = list(dict.fromkeys(table for table, _ in by_table("spikslc-net")))
    assert tables == [f"Table {number}" for number in range(1, 6)]


@pytest.mark.parametrize(
    ("header", "place"),
    [
        ("# x\n# paper: none\n", Place("", ())),
        ("# paper: smlp, Table II\n", Place("smlp", ("Table II",))),
        ("# paper: a-b, Table 1, Table 12\n", Place("a-b", ("Table 1", "Table 12"))),
    ],
)
def test_a_header_is_read(header, place, tmp_path):
    (tmp_path / "mine.yaml").write_text(f"{header}version: 1\n")
    assert place_of(tmp_path / "mine.yaml") == place


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# paper:\n",
        "# paper: smlp\n",
        "# paper: none, Table I\n",
        "# paper: S, Table I\n",
        "# paper: smlp, table I\n",
        "# paper: smlp, Table I \n",
        "version: 1\n# paper: none\n",
        "# paper: none\n# paper: none\n",
    ],
)
def test_another_header_is_refused(text, tmp_path):
    (tmp_path / "mine.yaml").write_text(f"{text}seed: 0\n")
    with pytest.raises(RecipeError, match="the header needs one line"):
        place_of(tmp_path / "mine.yaml")


def test_a_paper_that_no_recipe_names_is_answered_with_the_nearest():
    with pytest.raises(UsageError) as error:
        by_table("s-cmlr")
    assert error.value.hint == "did you mean s-cmrl?"
