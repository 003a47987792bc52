"""Train every system of a table over seeds and write benchmarks/results/table-<name>.json.

    python benchmarks/tables.py [--only spoken-digits,n-mnist,street-sounds,array] [--seeds 3]
        [--device cpu,cpu] [--mirror FOLDER] [--street-sounds FOLDER --images FOLDER]

Runs are ordinary runs under $AVSNN_HOME: what is finished there is not run again. Validation
selects the epoch unless the recipe names another rule; the test set is evaluated once.
`street-sounds` is a part of UrbanSound8K, in a folder that holds UrbanSound8K/, with images of ten
other classes in place of its own; without the two folders it is left out, with a notice. Several
devices (or a device named several times) share the runs; set OMP_NUM_THREADS=1, so that each
process has one thread.
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
RIVALS = (
    "s_cmrl",
    "weight_attention",
    "sca",
    "cmci",
    "naive_add",
    "naive_concat",
    "spikformer_audio",
    "spikformer_visual",
)
LOCALISERS = ("array_sim/spikslc_net_room", "array_sim/slc_net_room")


class Sweep(NamedTuple):
    """One part of a table. recipes: by name. settings: as --set takes them.

    most_seeds: a limit on the number of seeds, for recipes that take long.
    """

    name: str
    recipes: tuple[str, ...]
    settings: tuple[str, ...] = ()
    most_seeds: int = 1000


TABLES: dict[str, tuple[Sweep, ...]] = {
    "spoken-digits": (
        Sweep("systems", tuple(f"spoken_digits_av/{name}" for name in RIVALS), SHORTER),
        # S-CMRL with its loss is among the systems
        Sweep(
            "ablations",
            ("spoken_digits_av/s_cmrl",),
            (*SHORTER, "model.ccssa=none,spatial,temporal,both", "model.sao=none"),
        ),
    ),
    "n-mnist": (
        Sweep(
            "systems", tuple(f"n_mnist_spoken_small/{name}" for name in RIVALS), ("train.epochs=6",)
        ),
    ),
    "street-sounds": (
        Sweep(
            "systems",
            tuple(f"urbansound8k/{name}_stand_in_images" for name in RIVALS),
            ("data.present_only=true", "train.epochs=10"),
        ),
    ),
    "array": (
        Sweep("systems", LOCALISERS, ("train.epochs=20",)),
        Sweep("more clips", LOCALISERS, ("train.epochs=20", "data.clips_per_azimuth=8"), 1),
    ),
}


def avsnn(*arguments: str) -> str:
    """Run an avsnn command and return its stdout; its stderr stays on the terminal."""
    command = [sys.executable, "-m", "avsnn_cli", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def swept(sweep: Sweep, more: list[str], chosen: argparse.Namespace) -> dict[str, Any]:
    """Run one sweep. Returns its comparison and the seconds that it took this time."""
    # "auto" is bfloat16 on some processors and float32 on others: a table needs one arithmetic
    more = [*more, "train.precision=fp32"]
    settings = [word for value in (*sweep.settings, *more) for word in ("--set", value)]
    mirror = ["--from", str(chosen.mirror)] if chosen.mirror else []
    seeds = str(min(chosen.seeds, sweep.most_seeds))
    began = time.monotonic()
    arguments = ["sweep", *sweep.recipes, *settings, *mirror, "--seeds", seeds]
    result = json.loads(avsnn(*arguments, "--device", chosen.device, "--json"))
    seconds = time.monotonic() - began
    return {
        "part": sweep.name,
        "sweep": result["sweep"],
        "settings": [*sweep.settings],
        "this_time_s": round(seconds),
        "rows": result["rows"],
    }


def put_in_place(folder: Path) -> None:
    """Copy a part of UrbanSound8K to where the download of the whole would lie."""
    whole = acquire.raw_folder(manifest.load_manifest("urbansound8k")) / "UrbanSound8K"
    if not whole.exists():
        with store.publish(whole) as part:
            shutil.copytree(folder / "UrbanSound8K", part)


def main() -> None:
    """Measure the tables named by --only."""
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
                print(
                    "street-sounds is left out: it needs --street-sounds and --images",
                    file=sys.stderr,
                )
                continue
            put_in_place(chosen.street_sounds)
            more = [f"data.images={chosen.images.resolve()}"]
        sweeps = [swept(sweep, more, chosen) for sweep in TABLES[name]]
        record = {
            "table": name,
            "date": time.strftime("%Y-%m-%d"),
            "device": chosen.device,
            "threads": os.environ.get("OMP_NUM_THREADS"),
            "machine": machine.description(machine.choose(chosen.device.split(",")[0])),
            "versions": store.versions(),
            "sweeps": sweeps,
        }
        if name == "array":
            record["gcc_phat_peak"] = measure_peaks("array_sim/slc_net_room")
        store.publish_json(RESULTS / f"table-{name}.json", record)
        for sweep in sweeps:
            print(avsnn("compare", sweep["sweep"], "--format", "markdown"))


if __name__ == "__main__":
    main()
