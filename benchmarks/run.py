"""Measure speed side by side and write benchmarks/results/<name>-<device>.json.

    python benchmarks/run.py [--device cpu|cuda] [--only step,levers,features,cache,prepare,start]

Each figure is a median over interleaved rounds: in a round every variant runs once, so that a
change in the machine's speed meets all of them. Ratios are taken round by round.
"""

import argparse
import json
import time
from pathlib import Path

from cache import measure_cache
from features import measure_features
from prepare import measure_prepare
from start import measure_start
from step import measure_levers, measure_step

from pipelines import device as machine
from pipelines.disk import store

RESULTS = Path(__file__).parent / "results"
MEASURES = {
    "step": measure_step,
    "levers": measure_levers,
    "features": measure_features,
    "cache": measure_cache,
    "prepare": measure_prepare,
    "start": measure_start,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--only", default=",".join(MEASURES))
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    device = machine.choose(chosen.device)
    for name in chosen.only.split(","):
        print(f"{name} on {device} …", flush=True)
        result = MEASURES[name](device, chosen.rounds)
        record = {
            "benchmark": name,
            "date": time.strftime("%Y-%m-%d"),
            "machine": machine.description(device),
            "versions": store.versions(),
            "rounds": chosen.rounds,
            "results": result,
        }
        store.publish_json(RESULTS / f"{name}-{device.type}.json", record)
        print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
