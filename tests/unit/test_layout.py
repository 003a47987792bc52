"""Wide tables fit a screen of 80 columns, and lose nothing there."""

import re

import pytest

from avsnn_cli.comparison_tables import as_text
from avsnn_cli.layout import COLUMNS, table, table_in_blocks

LEVELS = [f"{level} dB" for level in range(0, 35, 5)]
LONG = "urbansound8k_av/s_cmrl (model.fusion=add, model.lif.tau=2.0, train.epochs=100)"


def compared(name):
    """Return a row of a comparison, as `pipelines.reports.compare` gives it."""
    return {
        "system": name, "dataset": "urbansound8k-av", "protocol": "random-paired", "n": 1746,
        "selection": "best-validation", "seeds": [0, 1, 2, 3, 4], "accuracy": 0.9721, "sd": 0.0053,
        "mcnemar_p": 1.2e-16, "noise": {level: {"mean": 0.6, "sd": 0.0123} for level in LEVELS},
        "doa": {k: {"mean": 0.5} for k in ("mae_deg", "below_2_5_deg", "up_to_5_deg")},
        "published": {"accuracy_percent": 97.77, "possible": False, "source": "S-CMRL, Table I",
                      "protocol": "a random split of unknown seed and size " * 3},
    }  # fmt: skip


@pytest.mark.parametrize("name", ["quickstart", LONG])
def test_a_comparison_of_everything_fits_and_no_spread_breaks(name):
    text = as_text([compared(name), compared("b")], "table")
    lines = text.splitlines()
    assert max(map(len, lines)) <= COLUMNS == 80
    assert text.count("60.00 ± 1.23") == 2 * len(LEVELS)
    assert text.count("97.21 ± 0.53") == 2 and text.count("97.77 (no k/n gives it)") == 2
    heads = [line for line in lines if line.startswith("system ")]
    columns = [column for head in heads for column in re.split("  +", head)]
    assert len(heads) > 1 and all(columns.count(level) == 1 for level in LEVELS)
    assert all(text.count(word) >= len(heads) for word in name.split())
    assert sum(line.split()[0] == "b" for line in lines if line) == len(heads)


def test_a_table_that_fits_stays_one():
    rows = [{"system": "a", "accuracy": "1 ± 2"}, {"system": LONG[:50], "accuracy": ""}]
    assert table_in_blocks(rows) == table(rows) and table_in_blocks([]) == ""


def test_a_wider_terminal_is_used(monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "300")
    rows = [{"system": "a", **dict.fromkeys(LEVELS, "60.00 ± 1.23")}]
    assert len(table_in_blocks(rows).splitlines()) == 2
    monkeypatch.setenv("COLUMNS", "20")
    assert 80 >= max(map(len, table_in_blocks(rows).splitlines())) > 60
