"""Temporary names: no two writers share one, and only what the dead left is cleared away."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from pipelines.disk import store, temporary
from tests.unit import flock_preload

WAIT_S = 60
HEAD = """
import os, signal, sys, time
from pathlib import Path
from pipelines.disk import store
path = Path(sys.argv[1])
"""


def child(code: str, path: Path, more: Mapping[str, str] = {}) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HEAD + code, str(path)],
        env={**os.environ, **more},
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def listed(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def of_another_machine(path: Path) -> Path:
    """Name a part that a process of another machine writes."""
    mine = temporary.beside(path).name
    _, kernel, space = temporary.here()
    return path.with_name(mine.replace(kernel + space, "0123456789ab"))


def test_two_processes_with_equal_ids_write_one_file_and_lose_nothing(tmp_path: Path) -> None:
    code = """
os.getpid = lambda: 7  # as the first process of each of two containers
print(flush=True)
sys.stdin.readline()
for number in range(300):
    store.publish_text(path, "x" * 1000)
"""
    both = [child(code, tmp_path / "file") for _ in range(2)]
    for process in both:
        assert process.stdout is not None
        process.stdout.readline()
    said = [process.communicate("go\n", timeout=WAIT_S)[1] for process in both]
    assert said == ["", ""] and [process.returncode for process in both] == [0, 0]
    assert listed(tmp_path) == ["file"]


def test_a_name_of_any_length_that_a_disk_takes_can_be_published(tmp_path: Path) -> None:
    path = tmp_path / ("é" * 127)  # 254 bytes
    store.publish_text(path, "x")
    code = """
with store.publish(path) as part:
    part.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    child(code, path).communicate(timeout=WAIT_S)
    assert len(listed(tmp_path)) == 2
    store.remove_leftovers(path)
    assert listed(tmp_path) == [path.name]


@pytest.mark.skipif(flock_preload.compiler() is None, reason="compiles a library to preload")
def test_a_living_writer_keeps_its_part_where_locks_let_a_second_one_in(tmp_path: Path) -> None:
    more = flock_preload.variables(tmp_path, lets_all_in=True)
    path = tmp_path / "home" / "cache"
    writing = """
with store.lock(path, what="it"), store.publish(path) as part:
    part.mkdir()
    (part / "file").write_text("x")
    print("writing", flush=True)
    sys.stdin.readline()
"""
    first = child(writing, path, more)
    assert first.stdout is not None
    assert first.stdout.readline() == "writing\n"
    second = child("with store.lock(path, what='it'): pass", path, more)
    assert second.communicate(timeout=WAIT_S)[1] == ""
    assert first.communicate("go\n", timeout=WAIT_S)[1] == ""
    assert listed(path) == ["file"]


def test_what_a_process_of_another_machine_writes_stays_for_a_day(tmp_path: Path) -> None:
    path = tmp_path / "cache"
    fresh, fallen, ahead = (of_another_machine(path) for _ in range(3))
    now = time.time()
    for part, age_s in ((fresh, 60), (fallen, 2 * 86400), (ahead, -86400)):
        part.mkdir()
        (part / "file").touch()
        for touched in (part / "file", part):
            os.utime(touched, (now - age_s, now - age_s))
    with store.lock(path, what="it"):
        pass
    assert set(listed(tmp_path)) - {".cache.lock"} == {fresh.name, ahead.name}
    # a folder is as old as what was last written in it
    os.utime(fresh, (now - 2 * 86400, now - 2 * 86400))
    assert not temporary.is_left(fresh, locked=True)


def test_what_another_container_of_this_machine_left_goes_once_its_lock_is_won(
    tmp_path: Path,
) -> None:
    _, kernel, space = temporary.here()
    mine = temporary.beside(tmp_path / "cache")
    theirs = mine.with_name(mine.name.replace(kernel + space, f"{kernel}012345"))
    theirs.touch()
    assert not temporary.is_left(theirs, locked=False)  # its process cannot be asked from here
    with store.lock(tmp_path / "cache", what="it"):
        assert listed(tmp_path) == [".cache.lock"]


def test_a_writer_killed_between_two_folders_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    path.mkdir()
    (path / "old").touch()
    code = """
moved = []
rename = Path.rename
def once(self, target):
    if moved:
        os.kill(os.getpid(), signal.SIGKILL)
    moved.append(self)
    return rename(self, target)
Path.rename = once
with store.publish(path) as part:
    part.mkdir()
    (part / "new").touch()
"""
    process = child(code, path)
    process.communicate(timeout=WAIT_S)
    assert process.returncode == -signal.SIGKILL and not path.exists()
    with store.lock(path, what="it"):
        assert listed(path) == ["old"]
    assert set(listed(tmp_path)) == {"folder", ".folder.lock"}


def test_only_names_with_our_mark_are_ours(tmp_path: Path) -> None:
    for name in (".a.1.part", ".a.host.012345678901.1.avsnn.part", "a.avsnn.part"):
        (tmp_path / name).touch()
        assert temporary.NAME.fullmatch(name) is None
        assert not temporary.is_left(tmp_path / name, locked=True)
    mine = temporary.beside(tmp_path / "a.b")
    match = temporary.NAME.fullmatch(mine.name)
    assert match is not None and match["artefact"] == "a.b"
