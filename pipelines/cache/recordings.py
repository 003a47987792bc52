"""The raw recordings of events that a cache was made from, kept in memory for other frames.

Noise on events is put on what the sensor gave, before a feature counts it into frames.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from pipelines import device as machine
from pipelines import registry
from pipelines.cache.batching import batches
from pipelines.cache.rows import Rows
from pipelines.cache.source_reader import Decoded, Reading, Refused
from pipelines.cache.workers import decode_all, worker_count
from pipelines.errors import DataError, MachineError
from pipelines.plan.data_plan import DataPlan
from pipelines.plan.plan import extract_arguments
from pipelines.readers.events import Events

READS_EVENTS = ("events", "spikes")
FREE_SHARE = 0.8  # of the memory that was free at the start; frames and networks need some too
DO_WITHOUT = "do without train.augment.events or --event-noise, or use a machine with more memory"

Change = Callable[[Events], Events]


def inputs_of_events(plan: DataPlan) -> list[str]:
    """List the modalities of a plan whose feature counts events."""
    return [
        modality
        for modality, cache in plan.caches.items()
        if registry.load_module("feature", cache.made_from["feature"]).READS in READS_EVENTS
    ]


class Recordings:
    """The recordings that the rows of a cache were computed from, in the order of the rows."""

    def __init__(self, plan: DataPlan, modality: str, rows: Rows, workers: int | None) -> None:
        """Decode them: 13 bytes an event.

        Raises DataError for a source that has changed since the cache was built, or that can no
        longer be decoded, and MachineError where they do not fit into memory.
        """
        cache = plan.caches[modality]
        self._feature = registry.load_module("feature", cache.made_from["feature"])
        self._arguments = extract_arguments(cache)
        self._reading = Reading(plan.manifest.name, plan.raw, self._feature.READS, 0.0, {})
        self._recordings: list[Decoded] = []
        with machine.memory_errors(f"for the raw recordings of the {modality} input", DO_WITHOUT):
            self._decode(plan, cache.folder.name, rows, workers)

    def _decode(self, plan: DataPlan, cache_name: str, rows: Rows, workers: int | None) -> None:
        """Decode and check the sources of a cache's rows; cache_name: as in the message."""
        free = FREE_SHARE * machine.free_bytes(torch.device("cpu"))
        sources = decode_all(self._reading, rows.sources, worker_count(workers))
        for source, content in zip(sources, rows.content.tolist(), strict=True):
            if isinstance(source, Refused):
                hint = f"avsnn download {plan.manifest.name}"
                raise DataError(f"cannot decode {source.name}: {source.reason}", hint)
            # else the noisy frames and the clean ones would be of different recordings
            if source.content != content:
                raise DataError(
                    f"{source.name} has changed since {cache_name} was built from it",
                    "run the command again, or restore the file",
                )
            free -= sum(column.nbytes for column in source.data[:4])
            if free < 0:
                raise MachineError(
                    f"the raw recordings of {plan.manifest.name} do not fit into memory: "
                    f"{len(self._recordings)} of {len(rows.sources)} fill what is free",
                    DO_WITHOUT,
                )
            self._recordings.append(source)

    def frames(
        self, rows: Sequence[int], changes: Sequence[Change], device: torch.device
    ) -> Tensor:
        """Return the feature of some rows, each recording changed by its own function.

        changes: one a row. Returns (B, T, C, H, W) on the device.
        """
        changed = (
            self._recordings[row]._replace(data=change(self._recordings[row].data))
            for row, change in zip(rows, changes, strict=True)
        )
        parts = batches(changed, self._reading, sample_rate=0, refused={}, device=device)
        return torch.cat([self._feature.extract(part.data, **self._arguments) for part in parts])
