"""What a user can get wrong before anything is computed: the exit code, one line, what to do."""

import re

import pytest
import yaml

from tests.cli.conftest import ROOT, in_process, own_process

VERBS = (
    "ls",
    "show",
    "cp",
    "validate",
    "download",
    "prepare",
    "train",
    "evaluate",
    "noise-eval",
    "energy",
    "explain",
    "export",
    "predict",
    "run",
    "sweep",
    "compare",
    "report",
    "status",
    "doctor",
    "cache",
)

# (arguments, exit code, first line on stderr, what the hint holds)
WRONG = [
    ("trian x", 2, "error: no such command 'trian'. Did you mean 'train'?", "avsnn --help"),
    ("cache lss", 2, "error: no such command 'lss'. Did you mean 'ls'?", "avsnn cache --help"),
    ("train", 2, "error: missing argument 'RECIPE'.", "avsnn train --help"),
    ("train quickstart --jsn", 2, "error: no such option --jsn (did you mean --json?)", "--help"),
    ("ls --zzz", 2, "error: no such option --zzz", "avsnn ls --help"),
    ("show quickstart more", 2, "error: got unexpected extra argument(s) (more)", "avsnn show"),
    ("noise-eval --snr", 2, "error: option '--snr' requires an argument.", "--help"),
    ("ls dataset", 2, "error: cannot list 'dataset'", "did you mean datasets?"),
    ("train quickstart --device gpu", 2, "error: --device gpu: no such device", "cuda:N"),
    ("evaluate --device cuda:x", 2, "error: --device cuda:x: no such device", "cuda:N"),
    ("noise-eval --snr 0:30", 2, "error: not a range of ratios: '0:30'", "start:stop:step"),
    ("noise-eval --event-noise dop:0.5", 2, "error: not a noise of events: 'dop:0.5'", "drop:0:"),
    (
        "noise-eval --event-noise drop:0.5 --snr 5",
        2,
        "error: --snr is of white noise, --event-noise of events: a sweep has one of them",
        "two",
    ),
    ("noise-eval --modality sound", 2, "error: --modality sound: no such input", "audio, visual"),
    ("noise-eval --modality visul", 2, "error: --modality visul: no such input", "mean visual?"),
    ("train quickstart --set foo", 2, "error: --set foo: not of the form a.b=VALUE", "--set train"),
    ("download digit-av", 2, "error: no dataset 'digit-av'", "did you mean digits-av?"),
    ("prepare quickstar", 2, "error: no dataset or recipe 'quickstar'", "mean quickstart?"),
    (
        "show quickstar",
        3,
        "error: no recipe, model, data set or feature 'quickstar'",
        "did you mean quickstart?",
    ),
    ("train nope", 3, "error: no recipe 'nope'", "avsnn ls recipes"),
    ("run nope.yaml", 3, "error: no recipe 'nope.yaml'", "avsnn ls recipes"),
    ("status nope", 3, "error: no recipe 'nope'", "avsnn ls recipes"),
    ("prepare nope.yaml", 3, "error: no recipe 'nope.yaml'", "avsnn ls recipes"),
    ("cp nope here", 3, "error: no recipe 'nope'", "avsnn ls recipes"),
    (
        "prepare quickstart --set data.seed=-1",
        3,
        "error: --set data.seed=-1: data.seed: must be ≥ 0 (is -1)",
        "",
    ),
    (
        "prepare quickstart --set audio.n_ftt=1",
        3,
        "error: --set audio.n_ftt=1: audio.n_ftt: unknown key (did you mean n_fft?)",
        "",
    ),
    ("evaluate", 4, "error: no trained run yet", "avsnn train RECIPE"),
    ("noise-eval", 4, "error: no trained run yet", "avsnn train RECIPE"),
    ("evaluate nope", 4, "error: no run 'nope'", "avsnn ls runs"),
    ("download spoken-digits-av --from /nowhere", 4, "error: /nowhere is not a folder", "--from"),
    ("prepare quickstart --device cuda:99", 5, "error: no device cuda:99: this machine has", "cpu"),
]


@pytest.mark.parametrize("wrong", WRONG, ids=[wrong[0] for wrong in WRONG])
def test_a_mistake_costs_one_line_and_a_hint(wrong, avsnn):
    arguments, code, first, hint = wrong
    said = avsnn(*arguments.split())
    assert said.code == code
    errors = [line for line in said.err.splitlines() if not re.match(r"\d{4}-\d\d-\d\dT", line)]
    assert errors[0] == first or (code == 5 and errors[0].startswith(first))
    assert len(errors) == (2 if hint else 1)
    assert not hint or (errors[1].startswith("hint:  ") and hint in errors[1])
    assert said.out == ""


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_lists_every_verb_in_80_columns(flag, avsnn):
    said = avsnn(flag)
    assert said.code == 0 and said.err == ""
    assert set(re.findall(r"^  ([a-z-]+)  ", said.out, re.M)) >= set(VERBS)
    usage, *lines = said.out.splitlines()
    assert usage == "Usage: avsnn [OPTIONS] COMMAND [ARGS]..."
    assert all(len(line) <= 80 and "..." not in line for line in lines)


@pytest.mark.parametrize("verb", [*VERBS, "cache ls", "cache verify", "cache prune"])
def test_every_verb_explains_itself(verb, avsnn):
    said = avsnn(*verb.split(), "--help")
    assert said.code == 0 and said.err == ""
    assert said.out.startswith(f"Usage: avsnn {verb} ")
    assert all(len(line) <= 80 for line in said.out.splitlines())


@pytest.mark.parametrize(
    ("verb", "line"),
    [
        ("energy", "  --samples N  "),
        ("sweep", "  --seeds N  "),
        ("sweep", "  --name NAME  "),
        ("download", "  DATASET "),
        ("cp", "  --force     Replace a file that already exists."),
    ],
)
def test_help_names_what_an_option_takes(verb, line, avsnn):
    assert f"\n{line}" in avsnn(verb, "--help").out


def test_no_verb_shows_the_help_and_is_a_usage_error(avsnn):
    assert avsnn().code == 2
    assert "Commands:" in avsnn().err


def test_the_version_is_said(avsnn):
    said = avsnn("--version")
    assert said.code == 0 and re.fullmatch(r"avsnn \S+\n", said.out)


def test_an_unwritable_home_is_the_machines_fault(avsnn, home):
    home.write_text("a file where the home should be")
    said = avsnn("prepare", "digits-av")
    assert said.code == 5
    assert said.first.startswith("error: cannot lock ") and "AVSNN_HOME" in said.err


def test_a_library_that_does_not_import_is_the_machines_fault(tmp_path, home):
    (tmp_path / "torch.py").write_text(
        "raise ImportError('libtorch.so: cannot open', name='torch')"
    )
    said = own_process(home, "show", "quickstart", PYTHONPATH=f"{tmp_path}:{ROOT}")
    assert (said.code, said.out) == (5, "")
    assert said.err == (
        "error: a library does not import: libtorch.so: cannot open\nhint:  avsnn doctor\n"
    )


@pytest.mark.parametrize("name", ["", ".", "/", "*", "x" * 300, "a/" * 200, "né\n"])
@pytest.mark.parametrize("verb", ["evaluate", "noise-eval", "energy", "explain", "export"])
def test_a_name_that_can_be_no_runs_is_one_line(verb, name, avsnn, home):
    (home / "runs" / "some-0123").mkdir(parents=True)
    (home / "runs" / "some-0123" / "recipe.yaml").touch()
    said = avsnn(verb, name)
    assert said.code == 4 and said.out == ""
    assert said.err.startswith("error: no run ") and len(said.err.splitlines()) == 2


@pytest.mark.parametrize("path", ["~nosuchuser/x", "/tmp/" + "x" * 256])
@pytest.mark.parametrize(
    "verb",
    [
        "ls",
        "status quickstart",
        "doctor",
        "prepare quickstart",
        "evaluate",
        "cache ls",
        "cache prune",
        "compare x",
        "train quickstart",
        "download digits-av",
    ],
)
def test_a_home_that_cannot_be_is_the_machines_fault(verb, path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = in_process(path, *verb.split())
    assert said.code == 5 and said.first.startswith(f"error: AVSNN_HOME {path[:80]}")
    assert len(said.err.splitlines()) == 2 and not list(tmp_path.iterdir())


def test_a_recipe_whose_name_is_too_long_for_a_run_is_named(avsnn, tmp_path):
    source = ROOT / "recipes" / "quickstart.yaml"
    for size, code in ((180, 0), (181, 3), (240, 3)):
        file = tmp_path / f"{'x' * size}.yaml"
        file.write_bytes(source.read_bytes())
        said = avsnn("status", file)
        assert said.code == code
        assert code == 0 or f"{size} bytes of name, at most 180" in said.err


def test_a_folder_that_changes_while_it_is_read_is_named(avsnn, tmp_path):
    recipe = yaml.safe_load((ROOT / "recipes" / "quickstart.yaml").read_text(encoding="utf-8"))
    recipe["data"] = {"dataset": "folder", "path": "/proc/self"}
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    said = avsnn("status", tmp_path / "r.yaml")
    assert said.code in (4, 5) and said.first.startswith("error: /proc/self/")


@pytest.mark.parametrize("seconds", ["1e-300", "1e-5"])
def test_a_length_without_a_sample_is_a_fault_of_the_recipe(seconds, avsnn):
    said = avsnn("validate", "quickstart", "--set", f"audio.seconds={seconds}")
    assert said.code == 3 and "hold no sample at 8000 Hz" in said.err
