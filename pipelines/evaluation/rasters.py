"""Spike rasters: which neurons of a layer fire at which step, for one clip."""

import contextlib
from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pipelines.evaluation.cam import batch_size
from pipelines.figures.explain_plots import Raster
from pipelines.snn.lif import LIF
from pipelines.snn.snntorch_leaky import Leaky

MOST_NEURONS = 64


def rasters(
    model: nn.Module, inputs: Mapping[str, Tensor], *, most: int = MOST_NEURONS, seed: int = 0
) -> list[Raster]:
    """Record all layers of spiking neurons over one clip, in the order in which they run.

    inputs: what forward takes, by name, for one clip. Shown are at most `most` neurons a layer,
    drawn by seed of those that fire; a silent layer shows none. A neuron's number is its place in
    the layer's (C, H, W), or (N, D), in row-major order. The network is left in evaluation mode.
    Raises ValueError for several clips.
    """
    if any(batch_size(x) != 1 for x in inputs.values()):
        raise ValueError("a raster is of one clip")
    recorded: list[Raster] = []

    def recorder(name: str) -> Callable[[nn.Module, object, Tensor], None]:
        def record(module: nn.Module, _args: object, out: Tensor) -> None:
            assert isinstance(module, LIF | Leaky)
            # with one clip, whatever follows time is a neuron
            fired = torch.unflatten(out.detach(), 0, (module.time_steps, -1)).flatten(1) != 0
            recorded.append(_raster(name, fired.cpu().numpy(), most, seed))

        return record

    model.eval()
    with contextlib.ExitStack() as stack:
        for name, module in model.named_modules():
            if isinstance(module, LIF | Leaky):
                stack.callback(module.register_forward_hook(recorder(name)).remove)
        with torch.no_grad():
            model(**inputs)
    return recorded


def _raster(name: str, fired: NDArray[np.bool_], most: int, seed: int) -> Raster:
    """fired: (T, neurons)."""
    active = np.flatnonzero(fired.any(0))
    shown = active
    if len(active) > most:
        shown = np.sort(np.random.default_rng(seed).choice(active, most, replace=False))
    return Raster(name, fired[:, shown], shown, fired.shape[1], len(active), float(fired.mean()))
