"""The machine: its device, its threads, its memory and what it reports when memory runs out."""

import ctypes
import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.errors import MachineError

if TYPE_CHECKING:
    import torch

# texts of torch on the CPU where memory is lacking, and of Python where no thread can be started
NO_MEMORY = (
    "DefaultCPUAllocator",
    "can't allocate memory",
    "can't start new thread",
    "Cannot allocate memory",
)
# oneDNN's whole text where memory for a kernel is lacking; a kernel that it does not have is "could
# not create a primitive descriptor", so a part of the text would match both
NO_KERNEL = "could not create a primitive"
M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3


@cache
def keep_large_blocks() -> bool:
    """Make glibc keep freed blocks; return whether it does.

    By default glibc maps every tensor over 32 MiB afresh and the kernel zeroes each page again: a
    training step on the CPU took up to 1.6 times as long (benchmarks/step.py measures it).
    """
    if not sys.platform.startswith("linux") or os.environ.get("AVSNN_MALLOC") == "default":
        return False
    try:
        libc = ctypes.CDLL(None)
        return bool(libc.mallopt(M_MMAP_THRESHOLD, 1 << 30)) and bool(
            libc.mallopt(M_TRIM_THRESHOLD, (1 << 31) - 1)
        )
    except (OSError, AttributeError):
        return False  # musl and others have no mallopt


def choose(
    name: str = "auto", *, threads: int | None = None, deterministic: bool = True
) -> "torch.device":
    """Return the device "auto", "cpu", "cuda" or "cuda:N", and set the process up for it.

    Raises MachineError for a device that this machine does not have.
    """
    # before torch is imported: cuBLAS reads it when it starts, and without it torch refuses
    # deterministic matrix products on CUDA
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    import torch

    keep_large_blocks()
    if threads is not None:
        torch.set_num_threads(threads)
    if deterministic:
        # benchmark times several algorithms and may choose another one in the next run
        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.deterministic = True
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(name)
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= count:
            raise MachineError(
                f"no device {name}: this machine has {count} CUDA devices",
                "use --device cpu, or see avsnn doctor",
            )
        # the CPU's kernels repeat anyway; warn where a CUDA one does not
        torch.use_deterministic_algorithms(deterministic, warn_only=True)
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    return device


def fast_bfloat16(device: "torch.device") -> bool:
    """Return whether the hardware, CPU or CUDA, computes bfloat16 faster than float32."""
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_capability(device)[0] >= 8
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def free_bytes(device: "torch.device") -> int:
    """Return the bytes that are free on the device (on the CPU: available to this process)."""
    import torch

    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    with Path("/proc/meminfo").open(encoding="ascii") as file:
        for line in file:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return 1 << 32  # a kernel before 3.14 has no such line


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error of Python, of torch or of the system means that memory ran out."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    # on the CPU torch has no class of its own for it
    text = str(error) if isinstance(error, RuntimeError) else ""
    return text == NO_KERNEL or any(sign in text for sign in NO_MEMORY)


@contextmanager
def memory_errors(what: str, hint: str) -> Iterator[None]:
    """Raise MachineError "out of memory <what>" in place of any error of memory that ran out."""
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise MachineError(f"out of memory {what}", hint) from error


def description(device: "torch.device | None" = None) -> dict[str, Any]:
    """Describe the machine: processor, cores, threads, memory, device, for receipts."""
    import torch

    machine: dict[str, Any] = {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "cuda": torch.version.cuda if torch.cuda.is_available() else None,
    }
    if device is not None:
        machine["device"] = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    return machine


def _processor() -> str:
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    # only Linux has the file, and on ARM it seldom names a model
    import platform

    return platform.processor() or platform.machine()
