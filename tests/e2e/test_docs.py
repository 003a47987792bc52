"""Every avsnn command in the README and in docs/ runs, in the order in which a reader types it.

Five of them run in a process of their own, as a reader's do; the others in this one, which imports
torch once for all. test_docs_rehearsed.py goes through the pages of data sets and papers.
"""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Said, in_process

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.M | re.S)


def commands(page):
    """List the avsnn commands of a page's sh blocks, without comments."""
    lines = "\n".join(BLOCK.findall(page.read_text(encoding="utf-8"))).splitlines()
    found = [line.split("#")[0].strip() for line in lines]
    return [line for line in found if line.startswith("avsnn ")]


def first_of_each(verbs):
    """Find the place, page and number on the page, where each of the verbs is typed first."""
    places = {}
    for page in PAGES:
        for number, line in enumerate(commands(page)):
            places.setdefault(line.split()[1], (page, number))
    return {places[verb] for verb in verbs}


# with the `run` of the workplace, five
OWN_PROCESS = first_of_each(("doctor", "train", "sweep", "export"))


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """A home in which the quickstart, which many pages go on from, has been run: for real."""
    folder = tmp_path_factory.mktemp("reader")
    done = run_apart("avsnn run quickstart --json", folder, folder)
    assert done.code == 0, done.err
    return folder, json.loads(done.out)


def run_apart(line, home, folder):
    """Run a command as a reader's shell does, in a process of its own."""
    environment = {**os.environ, "AVSNN_HOME": str(home / "home"), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "avsnn_cli", *shlex.split(line)[1:]],
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment,
        check=False,
    )
    return Said(done.returncode, done.stdout, done.stderr)


def run(line, home, folder, monkeypatch):
    """Run a command in this process, from that folder."""
    monkeypatch.chdir(folder)
    mirror = os.environ.get("AVSNN_MIRROR")
    return in_process(home / "home", *shlex.split(line)[1:], mirror=mirror)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_of_a_page_runs(page, workplace, tmp_path, monkeypatch, capfd):
    for number, line in enumerate(commands(page)):
        if "spoken" in line:
            continue  # minutes long, on real data: test_spoken_digits.py runs them
        if (page, number) in OWN_PROCESS:
            done = run_apart(line, workplace[0], tmp_path)
        else:
            done = run(line, workplace[0], tmp_path, monkeypatch)
        assert done.code == 0, f"{page.name}: {line}\n{done.err}"
        # processes that the command starts write past what is captured in this one
        assert "Traceback" not in done.err + capfd.readouterr().err


def test_the_quickstart_learns_and_leaves_a_noise_curve(workplace):
    home, result = workplace
    assert result["n"] == 269 and result["accuracy"] > 0.9
    assert len(result["noise"]["points"]) == 8
    assert (home / "home" / "runs" / Path(result["folder"]).name / "noise-both.png").exists()


def test_the_readmes_transcript_has_the_lines_that_the_quickstart_prints(workplace):
    def shape(line):
        return re.sub(r"[\d.]+", "0", " ".join(line.split()))

    home, result = workplace
    log = (home / "home" / "runs" / Path(result["folder"]).name / "run.log").read_text("utf-8")
    again = subprocess.run(
        [sys.executable, "-m", "avsnn_cli", "run", "quickstart"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "AVSNN_HOME": str(home / "home"), "PYTHONPATH": str(ROOT)},
    )
    printed = {shape(line.partition(" ")[2]) for line in log.splitlines()}
    printed |= {shape(line) for line in again.stdout.splitlines()}
    transcript = PAGES[0].read_text("utf-8").partition("## First run")[2].split("```")[1]
    shown = [line for line in transcript.strip().splitlines()[1:] if line != "..."]
    assert [line for line in shown if shape(line) not in printed] == []
