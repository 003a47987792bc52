"""The first real data set, end to end, as the README says it: minutes long."""

import json
import os
import subprocess
import sys
import time

import pytest


@pytest.mark.slow
def test_spoken_digits_reach_98_5_percent(mirror, tmp_path):
    environment = {**os.environ, "AVSNN_HOME": str(tmp_path), "AVSNN_MIRROR": str(mirror)}
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "avsnn_cli", "run", "spoken_digits_av/s_cmrl", "--json"],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["n"] == 3000
    assert result["selection"].startswith("best-validation")
    assert result["accuracy"] >= 0.985
    print(f"{result['accuracy']:.2%} in {time.monotonic() - began:.0f} s")
