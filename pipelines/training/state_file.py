"""Bound the size of a checkpoint's state, before torch.load allocates all that it asks for.

A pickle is a program. One of 60 MB makes gigabytes of empty lists in a minute or more, and one that
is compressed makes them of kilobytes.
"""

import zipfile
from pathlib import Path

from torch import nn

from pipelines.errors import DataError

COPIES = 4  # of the weights; Adam with amsgrad keeps three
START_BYTES = 1 << 20
TENSOR_BYTES = 4 << 10  # of pickle, for what an optimiser keeps of a tensor
RECORD_BYTES = 1 << 10  # of an epoch
RATE_BYTES = 128  # of an epoch, for the firing rate of a module, with its name


def pickle_bound(model: nn.Module, epochs: int) -> int:
    """Return the most bytes of pickle that a state of a network takes after so many epochs."""
    rates = RATE_BYTES * sum(1 for _ in model.modules())
    return START_BYTES + TENSOR_BYTES * len(model.state_dict()) + epochs * (RECORD_BYTES + rates)


def check(path: Path, model: nn.Module, epochs: int, hint: str) -> None:
    """Raise DataError if a state's file is not in torch.save's form, or larger than it can be."""
    most = pickle_bound(model, epochs)
    weights = sum(t.numel() * t.element_size() for t in model.state_dict().values())
    size, largest = path.stat().st_size, 2 * most + COPIES * weights
    if size > largest:
        raise DataError(f"{path} has {size} bytes, a state of this network at most {largest}", hint)
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise DataError(f"cannot read {path}: {error}", hint) from error
    pickles = sum(part.file_size for part in members if part.filename.endswith(".pkl"))
    if pickles > most:
        raise DataError(
            f"{path} has {pickles} bytes of pickle, a state of this network at most {most}", hint
        )
    if any(part.compress_type != zipfile.ZIP_STORED for part in members) or (
        sum(part.file_size for part in members) > size
    ):
        raise DataError(f"cannot read {path}: it unpacks to more than its own size", hint)
