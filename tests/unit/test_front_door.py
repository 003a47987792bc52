"""The README stays short and in order, and what it and the site's menu point to is there."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
LINK = re.compile(r"\]\(([^)\s]+)\)")
TASKS = {
    "Your own data": "docs/datasets/folder.md",
    "Your own recipe": "docs/recipes.md",
    "Compare systems": "docs/comparing.md",
    "Noise curve": "docs/noise.md",
    "Report": "docs/report.md",
}


def test_the_readme_is_short_and_its_sections_are_in_order():
    assert 540 <= len(README.split()) <= 660
    headings = re.findall(r"^## (.+)$", README, re.M)
    assert headings == [
        "Install",
        "First run",
        "Five tasks",
        "What is supported",
        "Licence and citation",
    ]


def test_two_commands_do_all_the_set_up():
    install = README.partition("## Install")[2].partition("## ")[0]
    assert re.search(r"```sh\nmake demo\nmake test\n```", install)
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.M)
    assert set(re.findall(r"make ([a-z-]+)[`\n]", README)) <= set(targets)


def test_each_task_has_one_command_and_a_page():
    tasks = README.partition("## Five tasks")[2].partition("\n## ")[0]
    pieces = re.split(r"^\*\*(.+?)\*\*", tasks, flags=re.M)[1:]
    assert (
        dict(zip(pieces[::2], (LINK.findall(text)[0] for text in pieces[1::2]), strict=True))
        == TASKS
    )
    for text in pieces[1::2]:
        assert len(re.findall(r"^```sh\navsnn [^\n]+\n```$", text, re.M)) == 1


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_every_link_outside_the_site_leads_to_a_file(page):
    for target in LINK.findall((ROOT / page).read_text("utf-8")):
        assert target.startswith("https://") or (ROOT / target.partition("#")[0]).exists(), target


def test_the_transcript_is_what_a_terminal_of_80_columns_shows():
    transcript = README.partition("## First run")[2].split("```")[1].strip().splitlines()
    assert transcript[0] == "$ avsnn run quickstart"
    assert 18 <= len(transcript) <= 26
    assert all(len(line) <= 80 for line in transcript)


@pytest.mark.parametrize(
    "phrase",
    [
        "is said",
        "are said",
        "and said",
        "whose answer",
        "look at the test set",
        "looks at the test",
        "on two sides",
        "by us",
        "goes on where",
        "is gone on with",
    ],
)
def test_the_pages_are_in_plain_technical_english(phrase):
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    words = {page.name: " ".join(page.read_text("utf-8").split()) for page in pages}
    assert [name for name, text in words.items() if re.search(rf"\b{phrase}\b", text)] == []


def test_the_menu_of_the_site_has_every_page_once():
    menu = yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))["nav"]
    pages = re.findall(r"[\w/-]+\.md", str(menu))
    assert sorted(pages) == sorted(
        path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")
    )
