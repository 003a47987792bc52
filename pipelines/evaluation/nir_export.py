"""Write NIR, the neuromorphic intermediate representation, or list what it cannot carry.

spikingjelly's exporter knows the modules listed here and, between them, only addition; it follows
one input. It has no node for attention, pooling by maximum, or means over time.
"""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from spikingjelly.activation_based import layer, neuron, surrogate
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode, resolve_name

from pipelines.disk import room
from pipelines.errors import MachineError, UsageError
from pipelines.snn.fold import Folded

# these classes and no subclasses: the exporter looks up the exact class of a module
CARRIED = (
    nn.Linear,
    layer.Linear,
    nn.Conv1d,
    layer.Conv1d,
    nn.Conv2d,
    layer.Conv2d,
    nn.AvgPool2d,
    layer.AvgPool2d,
    nn.Flatten,
    layer.Flatten,
    neuron.IFNode,
    neuron.LIFNode,
    neuron.ParametricLIFNode,
    neuron.CUBALIFNode,
)
# what has no effect on the output
NO_PART = (Folded, surrogate.SurrogateFunctionBase, nn.ModuleList, nn.Sequential)
ADDITION = ("add", "__add__", "__radd__")
SHOWN = 4


class _Operations(TorchFunctionMode):
    """Records which functions of torch each module calls itself, not through its children."""

    def __init__(self) -> None:
        super().__init__()
        self.inside: list[str] = []
        self.calls: dict[str, set[str]] = {}

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        name = (resolve_name(func) or func.__name__).rpartition(".")[2]
        if self.inside and isinstance(result, Tensor) and name not in ADDITION:
            self.calls.setdefault(self.inside[-1], set()).add(name)
        return result


def not_carried(network: nn.Module, inputs: dict[str, Tensor]) -> list[dict[str, str]]:
    """Return what NIR cannot carry: rows of module, type and reason, in the network's order.

    inputs: any inputs of the network, which is run on them once to record its operations.
    """
    rows = []
    if len(inputs) != 1:
        why = f"{len(inputs)} inputs, {' and '.join(inputs)}; NIR's exporter follows one"
        rows.append({"module": "", "type": _kind(network), "why": why})
    operations = _operations(network, inputs)
    for name, module in network.named_modules():
        if type(module) in CARRIED or isinstance(module, NO_PART):
            continue
        # a block is named only for what it computes itself: its children have their own rows
        if all(isinstance(child, NO_PART) for child in module.children()):
            why = "no NIR node in spikingjelly's exporter"
        elif name in operations:
            why = f"computes {', '.join(sorted(operations[name]))}"
        else:
            continue
        rows.append({"module": name, "type": _kind(module), "why": why})
    return rows


def refusal(name: str, rows: list[dict[str, str]]) -> UsageError:
    """Return the error that names, in one line, the modules that NIR cannot carry."""
    kinds: dict[str, dict[str, None]] = {}
    for row in rows:
        kinds.setdefault(row["type"], {})[row["module"] or "the network"] = None
    shown = [
        f"{kind} ({next(iter(where))}{f' and {len(where) - 1} more' if len(where) > 1 else ''})"
        for kind, where in list(kinds.items())[:SHOWN]
    ]
    more = [f"{len(kinds) - SHOWN} more types"] if len(kinds) > SHOWN else []
    return UsageError(f"NIR cannot carry {name}: {', '.join(shown + more)}")


def write_nir(network: nn.Module, example: Tensor, path: Path) -> None:
    """Write a network as NIR with spikingjelly's exporter, its neurons' step taken as 0.1 ms.

    example: an input, (B, ...), or (T, B, ...) for neurons in multi-step mode. Raises MachineError
    if a package is missing, UsageError if the exporter refuses the network.
    """
    try:
        import nir
        from spikingjelly.activation_based import nir_exchange
    except ImportError as error:
        raise MachineError(
            f"NIR needs the packages nir and nirtorch: {error}", 'pip install "avsnn[nir]"'
        ) from error
    try:
        graph = nir_exchange.export_to_nir(network, example)
    except (NotImplementedError, ValueError, KeyError, torch.fx.proxy.TraceError) as error:
        reason = str(error).splitlines() or [type(error).__name__]
        raise UsageError(f"spikingjelly's NIR exporter refuses the network: {reason[0]}") from error
    # to memory first: HDF5 may crash the process when the disk is full
    written = io.BytesIO()
    nir.write(written, graph)
    room.write(path, written.getbuffer())


def _operations(network: nn.Module, inputs: dict[str, Tensor]) -> dict[str, set[str]]:
    """Run a network and return, by module, the functions of torch that it calls itself."""
    mode, hooks = _Operations(), []
    for name, module in network.named_modules():
        hooks += [
            module.register_forward_pre_hook(lambda *_, name=name: mode.inside.append(name)),
            # a hook that returns something replaces the output: hence `and None`
            module.register_forward_hook(lambda *_: mode.inside.pop() and None, always_call=True),
        ]
    try:
        with torch.no_grad(), mode:
            network(**inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return mode.calls


def _kind(module: nn.Module) -> str:
    return type(module).__name__
