"""What every test shares: a home of its own, and the mirror of real data where there is one."""

import itertools
import os
from pathlib import Path

import pytest

# the user's own folder is nothing to test in
os.environ.pop("AVSNN_HOME", None)
# many small networks: one thread each is faster than several that wait for each other, and lets
# the test files run side by side
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def homes(tmp_path_factory):
    """New empty folders, counted here: pytest looks through all that there are for the next."""
    folder = tmp_path_factory.mktemp("homes")
    return (folder / str(number) for number in itertools.count())


@pytest.fixture(autouse=True)
def own_home(homes, monkeypatch):
    """Every test has a home of its own, unless its module has set one for all its tests."""
    if "AVSNN_HOME" not in os.environ:
        home = next(homes)
        home.mkdir()
        monkeypatch.setenv("AVSNN_HOME", str(home))


@pytest.fixture(scope="session")
def mirror():
    """The folder of real sources that AVSNN_MIRROR names."""
    folder = os.environ.get("AVSNN_MIRROR")
    if not folder:
        pytest.skip("AVSNN_MIRROR names no folder of real data")
    return Path(folder)
