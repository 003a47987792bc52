"""Code that changes under a trained run: never new code on old weights, and never without a word.

The commands run from a copy of the sources, in which files are edited between them.
"""

import json
import re
import shutil
import subprocess
import sys

import pytest

from tests.cli.conftest import PATIENCE_S, ROOT, SMALL, Said, environment, rewrite

NEURONS = "pipelines/snn/lif.py"
# runs several command lines in one process, which loads the edited sources once
MANY = """
import json, sys
from tests.cli.conftest import in_process
home, lines = sys.argv[1], json.loads(sys.argv[2])
json.dump([in_process(home, *line) for line in lines], sys.stdout)
"""


class Copy:
    """The sources in a folder of their own, and command lines that run from there."""

    def __init__(self, folder, home):
        self.folder, self.home = folder, home
        for name in ("pipelines", "avsnn_cli", "recipes", "data_manifests"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("*.pyc"))

    def __call__(self, *lines):
        """Run command lines; returns how each ended."""
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                MANY,
                str(self.home),
                json.dumps([[*map(str, line)] for line in lines]),
            ],
            env=environment(self.home, PYTHONPATH=f"{self.folder}:{ROOT}"),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return [Said(*said) for said in json.loads(done.stdout)]

    def edit(self, path, old, new):
        file = self.folder / path
        text = file.read_text(encoding="utf-8")
        assert old in text, f"{path} no longer holds {old!r}"
        file.write_text(text.replace(old, new, 1), encoding="utf-8")

    def append(self, path, text):
        with (self.folder / path).open("a", encoding="utf-8") as file:
            file.write(text)


@pytest.fixture
def copy(tmp_path, home):
    return Copy(tmp_path / "copy", home)


def rows(said):
    assert said.code == 0, said.err
    return {row["stage"]: (row["state"], row["detail"]) for row in json.loads(said.out)}


def written(run):
    return {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}


def test_new_code_is_never_run_on_old_weights(copy, trained):
    copy.append(NEURONS, "\nTHRESHOLD_OF_ALL = 0.5\n")
    before = {k: v for k, v in written(trained).items() if k != "run.log"}
    sound = copy.folder / "any.wav"
    refused = [
        ["evaluate", trained.name, "--force"],
        ["noise-eval", trained.name, "--snr", "5"],
        ["predict", trained.name, "--audio", sound],
        ["explain", trained.name],
        ["energy", trained.name],
        ["export", trained.name],
    ]
    for line, said in zip(refused, copy(*refused), strict=True):
        assert said.code == 4 and said.out == "", line
        error, hint = [text for text in said.err.splitlines() if text[:5] in ("error", "hint:")]
        assert error == (
            f"error: run {trained.name} was trained with other code ({NEURONS}): its weights "
            "cannot be used with the code now"
        )
        assert "train the recipe again" in hint and "bring back the code" in hint
    assert {k: v for k, v in written(trained).items() if k != "run.log"} == before

    # what was found before can still be read, and a dry run says how it stands
    old, noise, dry, ls = copy(
        ["evaluate", trained.name, "--json"],
        ["noise-eval", trained.name, "--snr", "0:30:15", "--json"],
        ["noise-eval", trained.name, "--snr", "5", "--dry-run", "--json"],
        ["ls", "runs", "--json"],
    )
    assert json.loads(old.out) == json.loads(before["eval.json"]) and "hit" in old.err
    assert noise.code == 0 and "hit" in noise.err
    assert rows(dry)["train"][1].endswith(f", with other code ({NEURONS})")
    assert json.loads(ls.out)["runs"][0]["state"] == "evaluated"


def test_changed_code_makes_another_run_and_says_why(copy, trained):
    copy.edit("pipelines/training/optimise.py", "import", "CHANGED = 1\nimport")
    status, fresh, again = copy(
        ["status", *SMALL, "--json"], ["train", *SMALL], ["evaluate", trained.name, "--force"]
    )
    why = f"{trained.name} was made with other code: pipelines/training/optimise.py"
    assert rows(status)["train"] == ("miss", why)
    assert rows(status)["cache audio"][0] == rows(status)["cache visual"][0] == "hit"
    assert fresh.code == 0 and f" train: {why}\n" in fresh.err
    # weights do not depend on how they were found
    assert again.code == 0, again.err
    other = next(path for path in trained.parent.glob("quickstart-*/") if path != trained)
    evaluated, compared = copy(
        ["evaluate", other.name], ["compare", trained.name, other.name, "--json"]
    )
    assert evaluated.code == 0
    assert sorted(row["system"] for row in json.loads(compared.out)) == sorted(
        f"quickstart [{run.name.rpartition('-')[2]}]" for run in (trained, other)
    )


def test_a_run_older_than_a_setting_differs_by_its_code_and_not_by_the_settings_default(
    copy, trained
):
    recipe = trained / "recipe.yaml"
    text = recipe.read_text(encoding="utf-8")
    older = re.sub(r"    events:\n(      .*\n)+", "", text)
    assert older != text
    recipe.write_text(older, encoding="utf-8")
    copy.edit("pipelines/training/optimise.py", "import", "CHANGED = 1\nimport")
    (status,) = copy(["status", *SMALL, "--json"])
    why = f"{trained.name} was made with other code: pipelines/training/optimise.py"
    assert rows(status)["train"] == ("miss", why)


def test_other_words_and_another_command_line_change_nothing(copy, trained):
    """From another folder, too: no path is in a key."""
    for path in sorted((copy.folder / "pipelines").rglob("*.py")):
        copy.append(path, '\n# a remark\n"""Words that stand alone."""\n')
    copy.append("avsnn_cli/tables.py", "\nSHOWN = 3\n")
    copy.append("pipelines/reports/compare.py", "\nSHOWN = 3\n")
    copy.append("pipelines/disk/store.py", "\nSHOWN = 3\n")
    status, done = copy(
        ["status", *SMALL, "--set", "noise.snr_db.step=15", "--json"], ["train", *SMALL]
    )
    assert {state for state, _ in rows(status).values()} == {"hit"}
    assert done.out == f"{trained}\n" and "train: hit" in done.err


@pytest.mark.usefixtures("prepared")
@pytest.mark.parametrize(
    ("path", "missed"),
    [
        ("pipelines/features/image.py", {"cache visual"}),
        ("pipelines/signal/resample.py", {"cache audio", "cache visual"}),
        ("pipelines/datasets/digits_av.py", {"clips", "cache audio", "cache visual"}),
        ("pipelines/cache/clips_build.py", {"clips", "cache audio", "cache visual"}),
        ("pipelines/training/inputs.py", set()),
    ],
)
def test_changed_code_of_features_and_readers_makes_other_caches(copy, path, missed):
    copy.append(path, "\nCHANGED = 1\n")
    status, done = copy(["status", *SMALL, "--json"], ["prepare", *SMALL])
    found = rows(status)
    data = ("clips", "cache audio", "cache visual")
    assert {stage for stage in data if found[stage][0] == "miss"} == missed
    assert done.code == 0
    for stage in missed:
        assert found[stage][1].endswith(f" was made with other code: {path}")
        assert f" prepare: {stage}: {found[stage][1]}\n" in done.err


def test_a_run_of_before_the_record_of_code_is_read_and_not_used(avsnn, trained):
    rewrite(trained, "env.json", lambda environment: environment.pop("code"))
    assert "hit" in avsnn("evaluate").err
    said = avsnn("evaluate", "--force", "--quiet")
    assert said.code == 4 and said.first == (
        f"error: run {trained.name} was trained with an earlier version of avsnn, which kept no "
        "record of its code: its weights cannot be used with the code now"
    )
    assert avsnn("compare", trained.name).code == 0


def test_weights_of_other_code_are_no_beginning(avsnn, trained):
    rewrite(trained, "env.json", lambda content: content["code"].update({NEURONS: "0" * 12}))
    said = avsnn("train", *SMALL, "--set", f"train.start_from=[{trained.name}]")
    assert said.code == 4 and f"was trained with other code ({NEURONS})" in said.err
