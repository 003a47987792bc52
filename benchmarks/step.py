"""Measure a training step of S-CMRL (D = 256, 128 x 128, T = 4, batch 8) and its levers."""

import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from interleaved import interleaved
from torch import Tensor, nn

from pipelines import device as machine
from pipelines.ann.output import Targets
from pipelines.models.s_cmrl import Model
from pipelines.snn.lif import LIF

BATCH, SIDE, T = 8, 128, 4


class ReLUInPlaceOfLIF(nn.Module):
    """An activation without time in place of the neuron: the cost of a step without neurons."""

    def __init__(self, neuron: LIF) -> None:
        super().__init__()
        self.time_steps = neuron.time_steps

    def forward(self, x: Tensor, *, static: bool = False) -> Tensor:
        if static:
            x = torch.cat([x] * self.time_steps)  # keeps channels_last, which expand does not
        return torch.relu(x)


class SpikingjellyLIF(nn.Module):
    """spikingjelly's own neuron in place of ours."""

    def __init__(self, neuron: LIF) -> None:
        super().__init__()
        self.settings, self.time_steps = neuron, neuron.time_steps

    def forward(self, x: Tensor, *, static: bool = False) -> Tensor:
        from spikingjelly.activation_based import functional

        if static:
            x = torch.cat([x] * self.time_steps)  # keeps channels_last, which expand does not
        steps = x.unflatten(0, (self.time_steps, -1))
        rest = torch.zeros(steps.shape[1:], dtype=torch.float32, device=x.device)
        spikes = functional.lif_multi_step(
            steps, rest, tau=2.0, surrogate_function=self.settings.surrogate
        )[0]
        return spikes.flatten(0, 1)


def network(
    device: torch.device, layout: torch.memory_format, neuron: type[nn.Module] | None = None
) -> nn.Module:
    torch.manual_seed(0)
    model = Model(classes=6, audio_channels=1, visual_channels=3)
    if neuron is not None:
        for module in list(model.modules()):
            for name, child in list(module.named_children()):
                if isinstance(child, LIF):
                    setattr(module, name, neuron(child))
    return model.to(device, memory_format=layout)


def step(model: nn.Module, audio: Tensor, visual: Tensor, labels: Tensor, *, bf16: bool) -> None:
    with torch.autocast(audio.device.type, torch.bfloat16, enabled=bf16):
        output = model(audio, visual)
    model.loss(output, Targets(labels)).backward()
    model.zero_grad(set_to_none=True)
    if audio.is_cuda:
        torch.cuda.synchronize()


def inputs(
    device: torch.device, layout: torch.memory_format, *, repeated: bool = False
) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    audio = torch.randn(BATCH, 1, SIDE, SIDE, generator=generator)
    visual = torch.randn(BATCH, 3, SIDE, SIDE, generator=generator)
    labels = (torch.arange(BATCH) % 6).to(device)
    pair = [x.to(device).contiguous(memory_format=layout) for x in (audio, visual)]
    if repeated:
        pair = [x.expand(T, *x.shape) for x in pair]
    return pair[0], pair[1], labels


def measure_step(device: torch.device, rounds: int) -> dict[str, Any]:
    """Compare LIF with ReLU in the same network, in float32 and bfloat16; and peak memory."""
    layout = torch.channels_last
    batch = inputs(device, layout)
    result: dict[str, Any] = {}
    for name, bf16 in (("fp32", False), ("bf16", True)):
        if bf16 and not machine.fast_bfloat16(device):
            result[name] = "not measured: this processor has no bfloat16 units"
            continue
        variants: dict[str, Callable[[], object]] = {
            kind: partial(step, network(device, layout, neuron), *batch, bf16=bf16)
            for kind, neuron in (
                ("relu", ReLUInPlaceOfLIF),
                ("lif", None),
                ("spikingjelly_lif", SpikingjellyLIF),
            )
        }
        result[name] = interleaved(variants, rounds, "relu")
    result["peak_memory_MB"] = {
        kind: _peak_memory(kind, device) for kind in ("relu", "lif", "spikingjelly_lif")
    }
    return result


def _peak_memory(kind: str, device: torch.device) -> float:
    """Run steps in a process of its own and return its peak memory in MB."""
    done = subprocess.run(
        [sys.executable, __file__, kind, str(device)],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ,
    )
    return float(done.stdout)


def measure_levers(device: torch.device, rounds: int) -> dict[str, Any]:
    """Time each lever alone. Baseline: spikingjelly's neuron, NCHW, float32, no shared frames."""
    last, first = torch.channels_last, torch.contiguous_format
    plain = inputs(device, first, repeated=True)
    variants: dict[str, Callable[[], object]] = {
        "baseline": partial(step, network(device, first, SpikingjellyLIF), *plain, bf16=False),
        "shared_first_convolution": partial(
            step, network(device, first, SpikingjellyLIF), *inputs(device, first), bf16=False
        ),
        "channels_last": partial(
            step,
            network(device, last, SpikingjellyLIF),
            *inputs(device, last, repeated=True),
            bf16=False,
        ),
        "own_lif": partial(step, network(device, first), *plain, bf16=False),
        "bf16": partial(step, network(device, first, SpikingjellyLIF), *plain, bf16=True),
        "all_fp32": partial(step, network(device, last), *inputs(device, last), bf16=False),
        "all_bf16": partial(step, network(device, last), *inputs(device, last), bf16=True),
    }
    if not machine.fast_bfloat16(device):
        variants = {name: run for name, run in variants.items() if "bf16" not in name}
    result: dict[str, Any] = {"levers": interleaved(variants, rounds, "baseline")}
    if device.type == "cpu":
        result["malloc"] = _processes({"AVSNN_MALLOC": "default"}, {})
        waits = {"OMP_WAIT_POLICY": "ACTIVE"}, {"OMP_WAIT_POLICY": "PASSIVE"}
        result["waiting_threads"] = _processes(*waits)
        # spinning threads cost most where another process wants their cores
        with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as neighbour:
            try:
                result["waiting_threads_beside_a_busy_process"] = _processes(*waits)
            finally:
                neighbour.kill()
    return result


def _processes(before: dict[str, str], after: dict[str, str]) -> dict[str, dict[str, str] | float]:
    """Time a step in whole processes, in turn under two environments."""
    times: tuple[list[float], list[float]] = ([], [])
    # whole processes: malloc and OpenMP read their settings once, at the start
    for _ in range(3):
        for environment, taken in zip((before, after), times, strict=True):
            done = subprocess.run(
                [sys.executable, __file__, "timed", "cpu"],
                capture_output=True,
                text=True,
                check=True,
                env={**os.environ, **environment},
            )
            taken.append(float(done.stdout))
    ratios = sorted(a / b for a, b in zip(*times, strict=True))
    middle = len(ratios) // 2
    return {
        "before": before,
        "after": after,
        "before_s": round(sorted(times[0])[middle], 4),
        "after_s": round(sorted(times[1])[middle], 4),
        "ratio_before_to_after": round(ratios[middle], 3),
    }


def _alone(kind: str, name: str) -> None:
    import time

    device = machine.choose(name)
    neuron = {"relu": ReLUInPlaceOfLIF, "spikingjelly_lif": SpikingjellyLIF}.get(kind)
    model, batch = network(device, torch.channels_last, neuron), inputs(device, torch.channels_last)
    taken = []
    for _ in range(4):
        began = time.perf_counter()
        step(model, *batch, bf16=False)
        taken.append(time.perf_counter() - began)
    if kind == "timed":
        print(sorted(taken[1:])[1])  # the first step allocates and tunes
    elif device.type == "cuda":
        print(round(torch.cuda.max_memory_allocated() / 1e6))
    else:
        # not ru_maxrss: a child process starts with its parent's
        status = Path("/proc/self/status").read_text()
        print(round(int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6))


if __name__ == "__main__":
    _alone(sys.argv[1], sys.argv[2])
