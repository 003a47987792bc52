"""Train systems over seeds and write their table: benchmarks/results/accuracy-<dataset>.json.

    python benchmarks/accuracy.py [--seeds 3] [--device cpu]

Runs are ordinary runs under $AVSNN_HOME: what is finished there is not run again. Validation
selects the epoch; the test set is evaluated once. sd is over seeds (of weights, order and
augmentation).
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from avsnn_cli.render import TerminalReporter
from pipelines import device as machine
from pipelines.disk import store
from pipelines.recipe import recipe as recipes
from pipelines.results.metrics import mean_sd
from pipelines.runs import result_stages, train_stage

SYSTEMS = (
    "spoken_digits_av/s_cmrl",
    "spoken_digits_av/spikformer_audio",
    "spoken_digits_av/spikformer_visual",
)


def one_run(system: str, seed: int, device: str) -> dict[str, Any]:
    settings = (f"seed={seed}", f"runtime.device={device}")
    recipe = recipes.load_recipe(recipes.find(system), settings)
    report = TerminalReporter()
    run = train_stage.train(recipe, report)
    # read before evaluation: the time of training alone
    epochs = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    seconds = sum(epoch["seconds"] for epoch in epochs)
    result = result_stages.evaluate(recipe, run, report)
    noise = result_stages.noise_eval(recipe, run, recipe.noise, report)
    return {
        "system": system,
        "seed": seed,
        "accuracy": result["accuracy"],
        "n": result["n"],
        "sources": result["sources"],
        "protocol": result["protocol"],
        "selection": result["selection"],
        "training_s": round(seconds),
        "noise": {str(p["snr_db"]): p["accuracy"] for p in noise["points"]},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--device", default="auto")
    chosen = parser.parse_args()
    runs = [
        one_run(system, seed, chosen.device) for seed in range(chosen.seeds) for system in SYSTEMS
    ]
    table = {}
    for system in SYSTEMS:
        own = [run for run in runs if run["system"] == system]
        table[system] = {
            level: dict(
                zip(("mean", "sd"), mean_sd([run["noise"][level] for run in own]), strict=True)
            )
            for level in own[0]["noise"]
        }
    record = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": machine.description(machine.choose(chosen.device)),
        "versions": store.versions(),
        "table": table,
        "runs": runs,
    }
    store.publish_json(Path(__file__).parent / "results" / "accuracy-spoken-digits-av.json", record)
    for system, levels in table.items():
        cells = (f"{k}: {v['mean']:.2%} ± {v['sd'] or 0:.2%}" for k, v in levels.items())
        print(system, *cells, sep="  ", file=sys.stdout)


if __name__ == "__main__":
    main()
