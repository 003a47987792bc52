"""Every avsnn command of the pages of data sets and papers runs, or says what it would do.

What would download is rehearsed. The downloads themselves are tested against a server of our own.
"""

import json

import pytest

from pipelines.datasets._cifar10 import CLASSES
from tests import published
from tests.e2e.test_docs import ROOT, commands, run

PAPER_PAGES = sorted((ROOT / "docs/papers").glob("*.md"))
DATASET_PAGES = sorted((ROOT / "docs/datasets").glob("*.md"))
MADE_HERE = ("digits-av", "digits-events", "array-sim", "folder")


def rehearsed(line, page):
    """Return the command as typed if it needs no download, else what says what it would do."""
    # the workplace of test_docs.py is this command's run in a new home, for real
    here = page.stem in MADE_HERE and line != "avsnn run quickstart"
    if here or not line.startswith(("avsnn download", "avsnn run")):
        return line
    return f"{line} --dry-run"


@pytest.fixture
def reader(tmp_path):
    """A folder such as a reader of the pages has."""
    for label, name in enumerate(("dog", "rain")):
        for i in range(12):
            published.wav(tmp_path / "my-data" / name / f"{i}.wav", 0.3, seed=20 * label + i)
            published.png(tmp_path / "my-data" / name / f"{i}.png", 20 * label + i)
    for name in CLASSES:
        published.wav(tmp_path / "my-sounds" / name / "1.wav", 0.3)
    (tmp_path / "DIR").mkdir()
    return tmp_path


@pytest.mark.parametrize("page", DATASET_PAGES, ids=lambda page: page.stem)
def test_every_command_of_a_data_sets_page_runs_or_says_what_it_would_do(page, reader, monkeypatch):
    typed = commands(page)
    assert typed
    for line in typed:
        wanted = rehearsed(line, page)
        if line.startswith("avsnn prepare") and page.stem not in MADE_HERE:
            wanted += " --dry-run"
        done = run(wanted, reader, reader, monkeypatch)
        assert "Traceback" not in done.err
        if "--check" in line:  # nothing was downloaded
            assert done.code == 4 and "missing" in done.err
        else:
            assert done.code == 0, f"{page.name}: {wanted}\n{done.err}"


@pytest.mark.parametrize("page", PAPER_PAGES, ids=lambda page: page.stem)
def test_every_sweep_of_a_papers_page_is_a_grid_of_valid_runs(page, tmp_path, monkeypatch):
    for line in commands(page):
        done = run(f"{line} --dry-run --json", tmp_path, tmp_path, monkeypatch)
        assert done.code == 0, f"{line}\n{done.err}"
        assert {row["state"] for row in json.loads(done.out)} == {"to do"}
