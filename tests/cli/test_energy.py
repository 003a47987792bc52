"""`avsnn energy`: a run's operations, counted on test clips, kept, and said for what it is."""

import json

import pytest


@pytest.mark.usefixtures("trained")
def test_the_count_is_kept_and_says_what_it_is(avsnn, home):
    said = avsnn("energy", "--samples", "20", "--json")
    assert said.code == 0, said.err
    found = json.loads(said.out)
    assert found["n"] == found["samples"] == 20
    assert found["label"] == "theoretical, compute-only" and found["uncounted"] == []
    # at 45 nm and float32 a MAC is 4.6 pJ, an AC 0.9 pJ (Horowitz 2014)
    total = found["total"]
    assert total["energy_pj"]["float32"] == pytest.approx(
        4.6 * total["macs"] + 0.9 * total["acs"], rel=1e-9
    )
    assert found["ann_twin"]["energy_pj"]["float32"] > total["energy_pj"]["float32"] > 0
    (kept,) = home.glob("runs/*/energy.json")
    assert json.loads(kept.read_text()) == found
    before = kept.stat().st_mtime_ns
    assert json.loads(avsnn("energy", "--samples", "20", "--json").out) == found
    assert kept.stat().st_mtime_ns == before
    assert json.loads(avsnn("energy", "--samples", "500", "--json").out)["n"] == 269
    assert "energy: hit" in avsnn("energy", "--samples", "500").err  # all that there are
    text = avsnn("energy", "--samples", "20").out
    assert "its ANN twin" in text and "theoretical, compute-only" in text
    assert all(len(line) <= 80 for line in text.splitlines())
