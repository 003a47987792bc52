"""Train every system of a table over seeds: benchmarks/results/table-<name>.json and a report.

    python benchmarks/tables.py [--only spoken-digits,n-mnist,street-sounds,array] [--seeds 3]
        [--device cpu,cpu] [--mirror FOLDER] [--street-sounds FOLDER --images FOLDER]

Runs are ordinary runs under $AVSNN_HOME: what is there is not done again. Validation selects the
epoch unless the recipe says otherwise; the test set is looked at once. `street-sounds` is some of
UrbanSound8K, in a folder that holds UrbanSound8K/, with images of ten other classes that stand in
for its own; without the two folders it is left out, and said so. With several devices (or a device
named several times) runs share them; give each process one thread: OMP_NUM_THREADS=1.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from array_peak import measure_peaks

from pipelines import device as machine
from pipelines.disk import store
from pipelines.download import acquire, manifest

RESULTS = Path(__file__).parent / "results"
# a quarter of the recipes' steps and a third of their test pairs: an hour on two cores
SHORTER = ("train.epochs=4", "data.images_per_recording=1", "data.test_images_per_recording=3")
RIVALS = ("s_cmrl", "weight_attention", "sca", "cmci", "naive_add", "naive_concat",
          "spikformer_audio", "spikformer_visual")  # fmt: skip
LOCALISERS = ("array_sim/spikslc_net_room", "array_sim/slc_net_room")


class Sweep(NamedTuple):
    """One part of a table. recipes: by name; settings: as --set takes them.

    most_seeds: what takes long is done with fewer seeds than were asked for.
    """

    name: str
    recipes: tuple[str, ...]
    settings: tuple[str, ...] = ()
    most_seeds: int = 1000


TABLES: dict[str, tuple[Sweep, ...]] = {
    "spoken-digits": (
        Sweep("systems", tuple(f"spoken_digits_av/{name}" for name in RIVALS), SHORTER),
        # S-CMRL with its loss is among the systems
        Sweep("ablations", ("spoken_digits_av/s_cmrl",),
              (*SHORTER, "model.ccssa=none,spatial,temporal,both", "model.sao=none")),
    ),
    "n-mnist": (
        Sweep("systems", tuple(f"n_mnist_spoken_small/{name}" for name in RIVALS),
              ("train.epochs=6",)),
    ),
    "street-sounds": (
        Sweep("systems", tuple(f"urbansound8k/{name}_stand_in_images" for name in RIVALS),
              ("data.present_only=true", "train.epochs=10")),
    ),
    "array": (
        Sweep("systems", LOCALISERS, ("train.epochs=20",)),
        Sweep("more clips", LOCALISERS, ("train.epochs=20", "data.clips_per_azimuth=8"), 1),
    ),
}  # fmt: skip


def avsnn(*arguments: str) -> str:
    """Run a command of ours; what it says goes to stderr, and what it answers is returned."""
    command = [sys.executable, "-m", "avsnn_cli", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def swept(sweep: Sweep, more: list[str], chosen: argparse.Namespace) -> dict[str, Any]:
    """Do one sweep; returns its comparison and how long it took, this time."""
    # "auto" is bfloat16 on some processors and float32 on others: a table is of one arithmetic
    more = [*more, "train.precision=fp32"]
    settings = [word for value in (*sweep.settings, *more) for word in ("--set", value)]
    mirror = ["--from", str(chosen.mirror)] if chosen.mirror else []
    seeds = str(min(chosen.seeds, sweep.most_seeds))
    began = time.monotonic()
    said = json.loads(avsnn("sweep", *sweep.recipes, *settings, "--seeds", seeds, "--device",
                            chosen.device, *mirror, "--json"))  # fmt: skip
    seconds = time.monotonic() - began
    return {"part": sweep.name, "sweep": said["sweep"], "settings": [*sweep.settings],
            "this_time_s": round(seconds), "rows": said["rows"]}  # fmt: skip


def put_in_place(folder: Path) -> None:
    """Copy a part of UrbanSound8K to where its download would have put the whole."""
    whole = acquire.raw_folder(manifest.load("urbansound8k")) / "UrbanSound8K"
    if not whole.exists():
        with store.publish(whole) as part:
            shutil.copytree(folder / "UrbanSound8K", part)


def main() -> None:
    """Make the tables that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=",".join(TABLES))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--mirror", type=Path)
    parser.add_argument("--street-sounds", type=Path)
    parser.add_argument("--images", type=Path)
    chosen = parser.parse_args()
    for name in chosen.only.split(","):
        more = []
        if name == "street-sounds":
            if not (chosen.street_sounds and chosen.images):
                print("street-sounds: left out, give --street-sounds and --images", file=sys.stderr)
                continue
            put_in_place(chosen.street_sounds)
            more = [f"data.images={chosen.images.resolve()}"]
        found = [swept(sweep, more, chosen) for sweep in TABLES[name]]
        record = {
            "table": name,
            "date": time.strftime("%Y-%m-%d"),
            "device": chosen.device,
            "threads": os.environ.get("OMP_NUM_THREADS"),
            "machine": machine.description(machine.choose(chosen.device.split(",")[0])),
            "versions": store.versions(),
            "sweeps": found,
        }
        if name == "array":
            record["gcc_phat_peak"] = measure_peaks("array_sim/slc_net_room")
        store.publish_json(RESULTS / f"table-{name}.json", record)
        for sweep in found:
            print(avsnn("compare", sweep["sweep"], "--format", "markdown"))


if __name__ == "__main__":
    main()
