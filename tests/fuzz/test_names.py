"""Names of files, classes, clips, runs, recipes and settings: taken as they are, or refused."""

import contextlib
import io
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import strategies as st

from avsnn_cli import screen
from avsnn_cli.layout import table
from avsnn_cli.render import TerminalReporter
from pipelines import registry
from pipelines.clips import class_names, in_place
from pipelines.clips.clips import read_clips, write_clips
from pipelines.datasets import _folder_groups, folder
from pipelines.disk import seal
from pipelines.disk.paths import user_path
from pipelines.errors import DataError
from pipelines.recipe import recipe as recipes
from pipelines.runs.open_run import open_run
from tests.fuzz.campaign import Campaign
from tests.fuzz.mutations import words
from tests.fuzz.prepared import Prepared
from tests.fuzz.well_formed import check_clips
from tests.unit.test_folder import wav

parts = st.binary(min_size=1, max_size=255).map(os.fsdecode) | words | st.text(st.characters())


def can_be_a_file(name: str) -> bool:
    try:
        encoded = os.fsencode(name)
    except UnicodeEncodeError:
        return False
    return 0 < len(encoded) <= 250 and not set(b"/\0") & set(encoded) and name not in (".", "..")


def test_names_of_files_and_classes(campaign: Campaign, prepared: Prepared, tmp_path: Path) -> None:
    wav(tmp_path / "one.wav")
    content = (tmp_path / "one.wav").read_bytes()

    def attempt(names: tuple[str, str]) -> None:
        label, stem = names
        root = tmp_path / "set"
        shutil.rmtree(root, ignore_errors=True)
        for kind in ("dog", "rain", label):
            (root / kind).mkdir(parents=True, exist_ok=True)
            for name in ("0", "1", "2", *([stem] if kind == label else [])):
                (root / kind / f"{name}.wav").write_bytes(content)
        clips, classes = folder.pairs(root, path=str(root)), folder.classes(root)
        remarks, own = folder.remarks(root, protocol="auto"), folder.in_place(root)
        write_clips(tmp_path / "clips.jsonl", clips)
        in_place.keep(tmp_path / "clips.jsonl", own.files)
        kept = {
            "classes": list(classes),
            "excluded": {c.id: c.excluded for c in clips},
            "remarks": remarks,
        }
        seal.publish(tmp_path / "receipt.json", kept)
        assert {
            k: v for k, v in seal.read_sealed(tmp_path / "receipt.json", "").items() if k != "seal"
        } == kept
        assert read_clips(tmp_path / "clips.jsonl") == [c for c in clips if not c.excluded]
        check_clips(clips, classes)
        say_everywhere(tmp_path, [*classes, *(clip.id for clip in clips), *remarks])

    names = parts.filter(can_be_a_file)
    assert prepared.home.exists()
    campaign(st.tuples(names, names), attempt)


def say_everywhere(folder: Path, lines: list[str]) -> None:
    """Say lines to people and to a log, and as a table, on a terminal that knows little."""
    stream = io.TextIOWrapper(io.BytesIO(), "ascii", errors=screen.ERRORS)
    with contextlib.redirect_stderr(stream), TerminalReporter() as report:
        report.log_to(folder / "run.log")
        for line in lines:
            report.say(line)
        screen.write(table([{"name": line} for line in lines]), stream)
    with contextlib.suppress(DataError), TerminalReporter(quiet=True) as report:
        report.log_to(folder / "run.log")
        raise DataError(" ".join(lines))


def test_names_on_the_command_line(campaign: Campaign, prepared: Prepared) -> None:
    def attempt(name: str) -> None:
        for ask in (
            lambda: open_run(name),
            lambda: recipes.load_recipe(recipes.find(name)),
            lambda: recipes.load_recipe(recipes.find("quickstart"), (f"{name}=1",)),
            lambda: recipes.load_recipe(recipes.find("quickstart"), (f"train.epochs={name}",)),
            lambda: registry.load_module("model", name),
            lambda: user_path(name),
            lambda: class_names.check([name, "dog"], "here"),
            lambda: recipes.parse_range(name),
            lambda: in_place.user_folder(name, "path"),
            lambda: folder.pairs(prepared.home, path="", table=name),
        ):
            campaign.ends(ask)
        say_everywhere(prepared.home, [name])

    campaign(parts, attempt)


def test_patterns_of_groups(
    campaign: Campaign, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_folder_groups, "LONGEST_S", 3.0)
    for label in ("dog", "rain"):
        for i in range(3):
            wav(tmp_path / "set" / label / f"{'a' * 30}_{i}.wav")
    pieces = st.sampled_from(
        [
            "(",
            ")",
            "a",
            "+",
            "*",
            "{60000}",
            "?",
            "|",
            ".",
            "[a-z]",
            "^",
            "$",
            "_",
            r"\d",
            "(a+)+$",
            "(?:",
            "(?P<n>",
            "(?=",
            "(.+)_",
            "\\",
            "\ud800",
            "é",
            "{4294967295}",
            "{99999999999}",
        ]
    )

    def attempt(pattern: str) -> None:
        root = tmp_path / "set"
        check_clips(folder.pairs(root, path="", group_pattern=pattern))

    free = st.lists(pieces, max_size=8).map("".join) | st.text(max_size=12)
    campaign(free | free.map(lambda inner: f"({inner})"), attempt)
