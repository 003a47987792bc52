"""The page of results says what the committed measurements say, and nothing else."""

import re
import sys
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]


@pytest.fixture
def show_tables(monkeypatch):
    """The script that writes the page."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import show_tables

    yield show_tables
    sys.modules.pop("show_tables")


def test_the_page_is_what_the_measurements_give(show_tables):
    page = (ROOT / "docs/results.md").read_text("utf-8")
    assert show_tables.page(page) == page
    assert show_tables.summary(page) == page
    for record in show_tables.records():
        for sweep in record["sweeps"]:
            assert len({row["n"] for row in sweep["rows"]}) == 1
            if show_tables.has_picture(record, sweep["part"]):
                assert (ROOT / f"docs/images/table-{record['table']}.png").exists()


@pytest.mark.parametrize("page", ["README.md", "docs/index.md", "docs/results.md"])
def test_every_picture_of_the_documentation_has_a_dark_variant(page):
    """Raw HTML in Markdown: no tool checks that its files are there."""
    text = (ROOT / page).read_text("utf-8")
    pictures = re.findall(
        r'<picture>\n<source media="\(prefers-color-scheme: dark\)" srcset="(\S+)-dark\.png">\n'
        r'<img src="(\S+)\.png" alt="[^"]{20,}">\n</picture>', text
    )  # fmt: skip
    assert pictures and len(pictures) == text.count("<img") and "](images" not in text
    for dark, light in pictures:
        assert dark == light
        for name, ground in ((f"{dark}-dark.png", (0x16,) * 3), (f"{light}.png", (255,) * 3)):
            with Image.open((ROOT / page).parent / name) as image:
                assert image.convert("RGB").getpixel((0, 0)) == ground


def test_every_accuracy_is_a_count_of_the_test_clips(show_tables):
    for record in show_tables.records():
        for part, row in ((s["part"], row) for s in record["sweeps"] for row in s["rows"]):
            assert len(row["accuracies"]) == len(row["seeds"]) == (1 if part == "more clips" else 3)
            assert sum(row["accuracies"]) / len(row["seeds"]) == pytest.approx(row["accuracy"])
            for accuracy in row["accuracies"]:
                assert accuracy * row["n"] == pytest.approx(round(accuracy * row["n"]))


def test_every_table_is_a_grid_of_valid_runs(monkeypatch):
    from pipelines.runs import sweep

    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import tables

    for parts in tables.TABLES.values():
        for part in parts:
            assert sweep.grid(part.recipes, part.settings, 3)
    sys.modules.pop("tables")
    sys.modules.pop("array_peak")
