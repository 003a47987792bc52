"""Theoretical energy of a network: operations counted while it runs, times pJ at 45 nm.

Where all inputs of a layer are spikes, each spike adds a weight (an AC); else every input
multiplies one (a MAC). The values decide, not the layer's type. Memory, neurons, norms, pooling and
scaling are left out, so this is neither a measurement nor a bound.
"""

import contextlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from pipelines.errors import UsageError
from pipelines.snn.dsln_folding import FrameLinear
from pipelines.snn.lif import LIF
from pipelines.snn.snntorch_leaky import Leaky

LABEL = "theoretical, compute-only"
PICOJOULES = {"float32": {"mac": 4.6, "ac": 0.9}, "int8": {"mac": 0.23, "ac": 0.03}}
# six additions cost more than one multiplication at float32 (6 x 0.9 = 5.4 > 4.6 pJ)
LARGEST_SPIKE = 5

Kind = Literal["binary", "integer", "real"]
LAYERS = nn.Conv1d | nn.Conv2d | nn.Linear | FrameLinear
# the functions of torch that are counted, and the operation that each computes
OPERATIONS: dict[object, str] = {
    functional.linear: "linear",
    functional.conv1d: "conv1d",
    functional.conv2d: "conv2d",
    torch.matmul: "matmul",
    Tensor.matmul: "matmul",
    torch.bmm: "matmul",
    Tensor.bmm: "matmul",
    torch.mm: "matmul",
    Tensor.mm: "matmul",
}


@dataclass
class Values:
    """Statistics of one operand over all calls."""

    size: int = 0
    nonzero: int = 0
    magnitude: float = 0.0
    largest: float = 0.0
    whole: bool = True
    signed: bool = False

    def add(self, x: Tensor) -> None:
        """Add the statistics of a tensor of any shape."""
        x = x.detach()
        size = x.abs()
        # float32 would lose single spikes in a sum over many clips
        self.size += x.numel()
        self.nonzero += int(x.count_nonzero())
        self.magnitude += float(size.sum(dtype=torch.float64))
        self.largest = max(self.largest, float(size.max()))
        self.whole = self.whole and bool((x == x.round()).all())
        self.signed = self.signed or bool((x < 0).any())

    @property
    def kind(self) -> Kind:
        """Return binary for {0, 1}, integer up to LARGEST_SPIKE in size, real for all else."""
        if not self.whole or self.largest > LARGEST_SPIKE:
            return "real"
        return "binary" if self.largest <= 1 and not self.signed else "integer"

    @property
    def additions(self) -> float:
        """Return the additions for each dense MAC: k for a spike of k; infinity if real."""
        return math.inf if self.kind == "real" else self.magnitude / self.size


@dataclass
class Tally:
    """One layer, or one matrix product with its two operands; or neurons, which are not priced."""

    operation: str
    dense: int = 0
    operands: list[Values] = field(default_factory=list)
    updates: int = 0

    def add(self, dense: int, *operands: Tensor) -> None:
        """Count one call."""
        self.dense += dense
        self.operands = self.operands or [Values() for _ in operands]
        for values, x in zip(self.operands, operands, strict=True):
            values.add(x)


@dataclass
class _Frame:
    """A module that is running."""

    name: str
    is_layer: bool
    operations: int = 0


class _Operations(TorchFunctionMode):
    """Counts products where torch computes them, with or without a layer."""

    def __init__(self, tallies: dict[str, Tally]) -> None:
        super().__init__()
        self.tallies = tallies
        self.inside: list[_Frame] = []

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        operation = OPERATIONS.get(func)
        if operation is not None and self.inside:
            # keywords are taken in torch's own order: input, then weight
            a, b = [*args, *(kwargs or {}).values()][:2]
            fan_in = b[0].numel() if operation.startswith("conv") else a.shape[-1]
            operands = (a, b) if operation == "matmul" else (a,)
            self.add(operation, out.numel() * fan_in, *operands)
        return out

    def add(self, operation: str, dense: int, *operands: Tensor) -> None:
        """Count one operation for the innermost running module."""
        frame = self.inside[-1]
        name = frame.name
        if not frame.is_layer:
            # the n-th product of a block has the same name in every batch, and in the twin
            frame.operations += 1
            name = f"{name}.{operation}_{frame.operations}".lstrip(".")
        self.tallies.setdefault(name, Tally(operation)).add(dense, *operands)


@contextlib.contextmanager
def count_operations(model: nn.Module, tallies: dict[str, Tally]) -> Iterator[None]:
    """Count the operations of each layer into tallies, by name, while the context lasts.

    Dense MACs include those on a convolution's zero padding, as is usual. What a network runs once
    for an input that does not change is counted once.
    """
    operations = _Operations(tallies)

    def enter(name: str) -> Callable[[nn.Module, Any], None]:
        def push(module: nn.Module, _args: Any) -> None:
            operations.inside.append(_Frame(name, isinstance(module, LAYERS)))

        return push

    def leave(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def pop(module: nn.Module, args: Any, out: Any) -> None:
            if isinstance(module, FrameLinear):  # it computes an einsum, which is not intercepted
                operations.add("linear", out.numel() * module.weight.shape[-1], *args)
            elif isinstance(module, LIF | Leaky):
                tallies.setdefault(name, Tally("neurons")).updates += out.numel()
            operations.inside.pop()

        return pop

    with contextlib.ExitStack() as stack:
        for name, module in model.named_modules():
            stack.callback(module.register_forward_pre_hook(enter(name)).remove)
            stack.callback(module.register_forward_hook(leave(name)).remove)
        stack.enter_context(operations)
        yield


@contextlib.contextmanager
def _one_step(model: nn.Module) -> Iterator[None]:
    """Set the network to a single time step while the context lasts."""
    modules: list[Any] = [m for m in model.modules() if hasattr(m, "time_steps")]
    before = [m.time_steps for m in modules]
    try:
        for module in modules:
            module.time_steps = 1
        yield
    finally:
        for module, steps in zip(modules, before, strict=True):
            module.time_steps = steps


def energy(model: nn.Module, batches: Iterable[Mapping[str, Tensor]]) -> dict[str, Any]:
    """Return the energy of one sample, the mean over the batches, as plain JSON.

    batches: what forward takes, by name; each (B, ...), or (T, B, C, H, W) where it has five axes.

    `layers` has a row for each layer and matrix product: the kind and density (share that is not
    0) of its input, its dense MACs, and the MACs or ACs that they cost. Of a product's two
    operands, the one with fewer spikes counts. ACs are dense MACs times the mean size of the input,
    which for 0 and 1 is its density; an input that is 0 throughout is binary. `ann_twin` is the
    same network for one time step, every dense MAC a MAC; a row's dense_macs over its twin_macs is
    the number of time steps (its square for attention over time).
    `uncounted` names the leaf modules with weights whose type is not counted here.

    Energies are in pJ. The network is left in evaluation mode. Raises UsageError without a sample.
    """
    model.eval()
    samples = 0
    tallies: dict[str, Tally] = {}
    twin: dict[str, Tally] = {}
    with torch.no_grad():
        for batch in batches:
            first = next(iter(batch.values()))
            samples += first.shape[1] if first.dim() == 5 else first.shape[0]
            with count_operations(model, tallies):
                model(**batch)
            with _one_step(model), count_operations(model, twin):
                model(**{k: x[:1] if x.dim() == 5 else x for k, x in batch.items()})
    if not samples:
        raise UsageError("there is no sample to count operations on", "give at least one batch")
    rows = [
        _row(name, tally, twin[name].dense, samples)
        for name, tally in tallies.items()
        if tally.operands
    ]
    total = {k: sum(row[k] for row in rows) for k in ("dense_macs", "macs", "acs")}
    twin_macs = sum(row["twin_macs"] for row in rows)
    return {
        "label": LABEL,
        "unit": "pJ per sample",
        "samples": samples,
        "pj_per_operation": PICOJOULES,
        "layers": rows,
        "total": {
            **total,
            "neuron_updates": sum(tally.updates for tally in tallies.values()) / samples,
            "energy_pj": energy_pj(total["macs"], total["acs"]),
        },
        "ann_twin": {"macs": twin_macs, "energy_pj": energy_pj(twin_macs, 0)},
        "uncounted": [name for name, m in model.named_modules() if _is_unknown(m)],
    }


def energy_pj(macs: float, acs: float) -> dict[str, float]:
    """Return the energy of MACs and ACs in pJ for each number format, at 45 nm."""
    return {name: macs * pj["mac"] + acs * pj["ac"] for name, pj in PICOJOULES.items()}


def _row(name: str, tally: Tally, twin: int, samples: int) -> dict[str, Any]:
    # spikes on either side of a product save its multiplications
    driver = min(tally.operands, key=lambda values: values.additions)
    dense = tally.dense / samples
    real = driver.kind == "real"
    macs, acs = (dense, 0.0) if real else (0.0, dense * driver.additions)
    return {
        "name": name,
        "operation": tally.operation,
        "input": driver.kind,
        "density": driver.nonzero / driver.size,
        "dense_macs": dense,
        "twin_macs": twin / samples,
        "macs": macs,
        "acs": acs,
        "energy_pj": energy_pj(macs, acs),
    }


def _is_unknown(module: nn.Module) -> bool:
    if isinstance(module, LAYERS):
        return False
    # torch's own attention has a layer in it but calls no function that is counted
    leaf = next(module.children(), None) is None or isinstance(module, nn.MultiheadAttention)
    return leaf and any(p.dim() > 1 for p in module.parameters())
