"""How long each target runs, the home that all of them share, and the counts at the end."""

import shutil
from collections.abc import Iterator

import pytest

from tests.fuzz import campaign as campaigns
from tests.fuzz.prepared import Prepared, prepare


@pytest.fixture(params=["smoke", pytest.param("long", marks=pytest.mark.fuzz)])
def campaign(request: pytest.FixtureRequest) -> campaigns.Campaign:
    """Run a target: a few inputs in the ordinary suite, its share of the minutes behind `fuzz`."""
    long = [item for item in request.session.items if item.get_closest_marker("fuzz")]
    name = request.node.originalname.removeprefix("test_").replace("_", " ")
    is_long = request.param == "long"
    return campaigns.Campaign(name, 60 * campaigns.MINUTES / len(long) if is_long else None)


@pytest.fixture(scope="session")
def _prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("fuzz") / "home"
        patch.setenv("AVSNN_HOME", str(home))
        return prepare(home)


@pytest.fixture
def prepared(
    _prepared: Prepared, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Prepared]:
    """A home with clips, caches and the results of one run; every test has it whole."""
    copy = tmp_path_factory.mktemp("whole")
    shutil.copytree(_prepared.home, copy / "home")
    monkeypatch.setenv("AVSNN_HOME", str(_prepared.home))
    yield _prepared
    shutil.rmtree(_prepared.home)
    shutil.move(copy / "home", _prepared.home)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was tried, by target."""
    if not campaigns.tried:
        return
    terminalreporter.section(f"inputs tried, from seed {campaigns.SEED}")
    for name, count in sorted(campaigns.tried.items()):
        terminalreporter.line(f"{count:8} {name}: {campaigns.refused[name]} ended in our errors")
    terminalreporter.line(f"{sum(campaigns.tried.values()):8} in all")
