"""One rule for every path that a user writes, and what a user's file must never replace."""

import os
import socket
from pathlib import Path

import pytest

from pipelines.disk import store
from pipelines.disk.paths import check_target, user_path
from pipelines.errors import DataError, UsageError


def test_a_tilde_is_the_home_folder_and_only_in_front(monkeypatch):
    monkeypatch.setenv("HOME", "/somewhere")
    assert user_path("~/a") == Path("/somewhere/a") and user_path("~") == Path("/somewhere")
    assert user_path("a/~/b") == Path("a/~/b") and user_path("./~x") == Path("~x")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("~nosuchuser/x", "no home folder ~nosuchuser"),
        ("~nosuchuser", "no home folder"),
        ("a/" + "x" * 256, "too long"),
        ("é" * 128, "too long"),
        ("x/" * 2048, "too long"),
        ("a\0b", "zero byte"),
    ],
)
def test_a_path_that_no_system_takes_is_one_line(text, words):
    with pytest.raises(DataError, match=words) as failure:
        user_path(text, DataError)
    assert "\n" not in failure.value.message and len(failure.value.message) < 250


def test_a_path_as_long_as_a_system_takes_is_taken(tmp_path):
    assert not user_path(tmp_path / ("x" * 255)).exists()
    assert user_path("é" * 127) == Path("é" * 127)


def refused(path, *, force, ours=lambda _: False):
    with pytest.raises(UsageError) as failure:
        check_target(path, store.home(), force=force, ours=ours)
    return failure.value.message


def test_a_users_file_is_replaced_only_by_force_and_ours_without(tmp_path):
    thesis = tmp_path / "thesis.html"
    check_target(thesis, store.home(), force=False, ours=lambda _: False)  # nothing there
    thesis.write_text("years of work")
    assert "is there already" in refused(thesis, force=False)
    check_target(thesis, store.home(), force=True, ours=lambda _: False)
    check_target(thesis, store.home(), force=False, ours=lambda _: True)


@pytest.mark.parametrize("force", [False, True])
def test_what_is_no_file_is_never_replaced(force, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a socket's path is short
    os.mkfifo("pipe")
    Path("folder").mkdir()
    Path("link").symlink_to("nowhere")
    Path("device").symlink_to("/dev/null")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
        for name in ("/dev/null", "/dev/stdout", "pipe", "folder", "link", "device", "socket"):
            text = refused(Path(name), force=force, ours=lambda _: True)
            assert "is no file" in text or "is a link" in text


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("folder", ["raw", "manifests", "cache", "runs", "seen", "sweeps"])
def test_what_a_stage_keeps_is_never_written_over_not_through_a_link_either(
    force, folder, tmp_path
):
    place = store.home() / folder / "x"
    place.mkdir(parents=True)
    (tmp_path / "link").symlink_to(place)
    for path in (place / "eval.json", tmp_path / "link" / "new.html"):
        assert "avsnn keeps itself" in refused(path, force=force, ours=lambda _: True)
    check_target(store.home() / "reports" / "x.html", store.home(), force=False, ours=bool)
