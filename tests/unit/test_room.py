"""A full disk and a limit on files: what is needed and free is said, and nothing is left behind."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from pipelines.disk import room, store
from pipelines.errors import MachineError

ROOT = str(Path(__file__).parents[2])


def limited(script, limit, *arguments):
    """Run a program in which no file may be longer than a limit in bytes."""
    head = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n"
    done = subprocess.run(
        [sys.executable, "-c", head + script, *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": ROOT},
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_file_that_does_not_fit_is_refused_before_it_is_begun(tmp_path):
    free = os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize
    needed = 2 * free + 1
    with (
        pytest.raises(MachineError, match=f"needs {needed} bytes, [0-9]+ are free") as caught,
        store.publish(tmp_path / "x") as part,
    ):
        room.require(part, needed)
    assert str(tmp_path / "x") in caught.value.message
    assert caught.value.exit_code == 5
    room.require(tmp_path / "x", 1000)


def test_a_write_that_fails_says_what_is_needed_and_leaves_nothing(tmp_path):
    said = limited(
        """
import sys
from pathlib import Path
from pipelines.disk import store
from pipelines.errors import MachineError
try:
    store.publish_text(Path(sys.argv[1]), "x" * 30_000)
except MachineError as error:
    print(error.message)
""",
        20_000,
        tmp_path / "a.txt",
    )
    assert "needs 30000 bytes" in said and "a file may have 20000 (ulimit -f)" in said
    assert "File too large" in said and not list(tmp_path.iterdir())


@pytest.mark.parametrize("limit", [1_000, 50_000, 82_000, 101_000])
def test_a_cache_that_does_not_fit_ends_in_words_not_in_a_crash(tmp_path, limit):
    """HDF5 crashed at its close, or at the end of the program, once a write had failed."""
    said = limited(
        """
import sys
from pathlib import Path
import numpy as np
from pipelines.disk import room
from pipelines.cache.rows import Block, write
from pipelines.errors import MachineError
room.require = lambda *_: None  # another program takes the room meanwhile
hashes = np.zeros(10, np.uint64)
blocks = (Block([f"{i}-{j}" for j in range(10)], np.ones((10, 100), np.float64), hashes, hashes)
          for i in range(10))
try:
    write(Path(sys.argv[1]), 100, (100,), np.dtype(np.float64), blocks, {"key": "k"})
except MachineError as error:
    print(error.message)
""",
        limit,
        tmp_path / "train.h5",
    )
    assert "needs 102000 bytes" in said and not list(tmp_path.iterdir())


def test_what_a_file_that_never_fails_holds_is_what_hdf5_wrote(tmp_path):
    rows = np.random.default_rng(0).normal(size=(50, 7))
    for name in ("a", "b"):
        target = room.Unfailing(tmp_path / name, rows.nbytes) if name == "a" else tmp_path / name
        with h5py.File(target, "w", libver=("v110", "v110")) as file:
            file.create_dataset("rows", data=rows)
        if name == "a":
            target.check()
            target.close()
        with h5py.File(tmp_path / name) as file:
            assert np.array_equal(file["rows"][()], rows)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_whatever_is_published_on_a_full_disk_says_the_room(tmp_path, number):
    with (
        pytest.raises(MachineError, match=r"needs more than 1000 bytes, [0-9]+ are free"),
        store.publish(tmp_path / "folder") as part,
    ):
        part.mkdir()
        (part / "half").write_bytes(bytes(1000))
        raise OSError(number, os.strerror(number))
    assert not list(tmp_path.iterdir())
