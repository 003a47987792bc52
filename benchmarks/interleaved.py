"""Time several variants in turn, round by round."""

import statistics
import time
from collections.abc import Callable
from typing import Any


def interleaved(
    variants: dict[str, Callable[[], object]], rounds: int, reference: str
) -> dict[str, dict[str, Any]]:
    """Return each variant's median seconds and its median ratio to the reference, by round."""
    times: dict[str, list[float]] = {name: [] for name in variants}
    for run in variants.values():
        run()  # the first call pays for allocation and autotuning
    # a change in the speed of the machine meets all variants of a round
    for _ in range(rounds):
        for name, run in variants.items():
            began = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - began)
    return {
        name: {
            "seconds": round(statistics.median(taken), 5),
            "seconds_min_max": [round(min(taken), 5), round(max(taken), 5)],
            f"ratio_to_{reference}": round(
                statistics.median(a / b for a, b in zip(taken, times[reference], strict=True)),
                3,
            ),
        }
        for name, taken in times.items()
    }
