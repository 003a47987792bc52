"""A clock that was set back: the verbs without RUN still take the run trained last."""

import json
import os

from tests.cli.conftest import SMALL

LONG_AGO = 10**9


def test_the_run_trained_last_is_taken_though_the_clock_was_set_back(trained, avsnn):
    def train(*more):
        said = avsnn("train", *SMALL, "--quiet", "--json", *more)
        assert said.code == 0, said.err
        folder = trained.parent / json.loads(said.out)["run"]
        os.utime(folder / "trained.json", (LONG_AGO, LONG_AGO))
        return folder

    def last():
        return json.loads(avsnn("evaluate", "--quiet", "--json").out)["seed"]

    assert last() == 0
    train("--set", "seed=1")
    assert last() == 1
    train()  # a hit trains nothing
    assert last() == 1
    train("--fresh")
    assert last() == 0
