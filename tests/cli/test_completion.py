"""Completion in a shell: the names that fit, at once, and never a word of error."""

import subprocess
import sys
import time

import pytest

from avsnn_cli import completion
from pipelines import registry
from pipelines.recipe import recipe as recipes
from tests.cli.conftest import ROOT, environment

PROBE = """
import sys
from avsnn_cli.main import main
try:
    main()
finally:
    heavy = {"torch", "numpy", "h5py"} & set(sys.modules)
    print(*sorted(heavy), file=open(sys.argv[1], "w"))
"""


def complete(home, line, folder=ROOT, **more):
    """Complete a line as bash does; returns the words offered and the heavy libraries imported."""
    words = line.split(" ")
    note = folder / "imported.txt" if folder != ROOT else home.parent / "imported.txt"
    done = subprocess.run(
        [sys.executable, "-c", PROBE, str(note)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=folder,
        check=False,
        env=environment(
            home,
            _AVSNN_COMPLETE="complete_bash",
            COMP_WORDS=line,
            COMP_CWORD=str(len(words) - 1),
            **more,
        ),
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert note.read_text().split() == []
    return done.stdout.split()


def runs(home, count):
    for number in range(count):
        (home / "runs" / f"quickstart-{number:012x}").mkdir(parents=True)


@pytest.fixture
def ours(home, monkeypatch):
    """The home of the test, for a function that is called in this process."""
    monkeypatch.setenv("AVSNN_HOME", str(home))
    return home


def test_the_shell_is_offered_verbs_topics_data_sets_and_recipes(home):
    assert {"train", "evaluate"} <= set(complete(home, "avsnn "))
    assert complete(home, "avsnn ls ") == list(completion.TOPICS)
    assert complete(home, "avsnn ls r") == ["recipes", "runs"]
    assert complete(home, "avsnn download urban") == ["urbansound8k", "urbansound8k-av"]
    assert "crema_d/s_cmrl_paper" in complete(home, "avsnn train crema_d/s")
    assert complete(home, "avsnn ls recipes --paper sp") == ["spikslc-net"]


def test_5000_runs_are_offered_at_once(ours):
    runs(ours, 5000)
    start = time.monotonic()
    assert completion.runs("quickstart-0") == completion.runs("quick")
    assert len(completion.runs("quickstart-00000000000")) == 16
    assert time.monotonic() - start < 1  # 0.03 s on a quiet machine
    assert len(complete(ours, "avsnn evaluate q")) == 5000


def test_each_list_is_of_what_its_verb_takes(ours, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runs(ours, 2)
    (ours / "sweeps").mkdir()
    (ours / "sweeps" / "fig-6.json").write_text("{}")
    (ours / "runs" / ".anew").mkdir()
    assert completion.compared("") == [
        "fig-6",
        "quickstart-000000000000",
        "quickstart-000000000001",
    ]
    assert completion.recipes("") == recipes.bundled_names()
    assert set(completion.shown("")) == {
        *recipes.bundled_names(),
        *(name for kind in registry.PACKAGES for name in registry.names(kind)),
    }
    assert set(completion.prepared("dig")) == {
        "digits-av",
        "digits-events",
        "digits_events/s_cmrl",
        "digits_events/s_cmrl_augmented",
    }


def test_files_of_recipes_are_offered_beside_the_bundled_ones(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text("")
    (tmp_path / "mine.txt").write_text("")
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "other.yml").write_text("")
    (tmp_path / "more" / "deep").mkdir()
    assert completion.recipes("mi") == ["mine.yaml"]
    assert completion.recipes("more/") == ["more/deep/", "more/other.yml"]
    assert completion.recipes(f"{tmp_path}/mi") == [f"{tmp_path}/mine.yaml"]
    assert completion.recipes("not/there") == []


def test_a_home_that_is_missing_or_no_folder_offers_nothing_and_says_nothing(home):
    assert complete(home, "avsnn evaluate ") == []
    home.write_text("no folder")
    assert complete(home, "avsnn evaluate ") == []
    assert complete("~nobody-here/x", "avsnn evaluate ", home.parent) == []
    assert complete(home, "avsnn train --nonsense crema_d/agm") == ["crema_d/agm_paper"]
