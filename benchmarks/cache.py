"""Measure reads of a feature cache: rows a second, in random batches and all at once."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from interleaved import interleaved

from pipelines.cache.rows import Block, Rows, write

ROWS, SHAPE = 2000, (3, 128, 128)


def measure_cache(device: torch.device, rounds: int) -> dict[str, Any]:  # noqa: ARG001
    """Read 128 x 128 RGB rows from a warm page cache, with the CRC check of every read."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (ROWS, *SHAPE), dtype=np.uint8)
    order = random.permutation(ROWS)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.h5"
        hashes = np.zeros(ROWS, np.uint64)
        block = Block([f"row-{i}" for i in range(ROWS)], images, hashes, hashes)
        write(path, ROWS, SHAPE, images.dtype, [block], {})
        rows = Rows(path)

        def in_batches() -> None:
            for start in range(0, ROWS, 32):
                rows.read(order[start : start + 32].tolist())

        def memory() -> None:
            for start in range(0, ROWS, 32):
                images[order[start : start + 32]]

        times = interleaved(
            {"array_in_memory": memory, "random_batches_of_32": in_batches, "all": rows.all},
            rounds,
            "array_in_memory",
        )
        rows.close()
    return {
        name: {"rows_per_s": round(ROWS / entry["seconds"]), **entry}
        for name, entry in times.items()
    }
