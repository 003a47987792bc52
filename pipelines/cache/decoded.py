"""Sources to tensors on the device: decode, one length, one rate, in batches."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from torch import Tensor

from pipelines.errors import DataError
from pipelines.signal.decode import fit_length, to_mono
from pipelines.signal.resample import resample

BATCH = 64


def audio_batches(
    dataset: ModuleType,
    raw: Path,
    sources: Sequence[str],
    *,
    sample_rate: int,
    seconds: float,
    device: torch.device,
) -> Iterator[tuple[np.ndarray, Tensor]]:
    """Give (row numbers (b,), waveforms (b, samples) float32 at sample_rate Hz), on the device.

    Each clip is mixed to mono and cut or zero-padded to `seconds`, in the order of the sources;
    a batch holds clips of one original rate. Raises DataError naming a clip that is not usable.
    """
    rate, numbers, waveforms = 0, list[int](), list[np.ndarray]()

    def batch() -> tuple[np.ndarray, Tensor]:
        stacked = torch.from_numpy(np.stack(waveforms)).to(device)
        samples = round(seconds * sample_rate)
        exact = resample(stacked, rate, sample_rate)[:, :samples]
        if exact.shape[1] < samples:
            exact = torch.nn.functional.pad(exact, (0, samples - exact.shape[1]))
        return np.array(numbers), exact

    for number, source in enumerate(sources):
        waveform, own_rate = dataset.audio(raw, source)
        if numbers and (own_rate != rate or len(numbers) == BATCH):
            yield batch()
            numbers, waveforms = [], []
        rate = own_rate
        numbers.append(number)
        waveforms.append(fit_length(to_mono(waveform), round(seconds * rate)))
    if numbers:
        yield batch()


def image_batches(
    dataset: ModuleType, raw: Path, sources: Sequence[str], *, device: torch.device
) -> Iterator[tuple[np.ndarray, Tensor]]:
    """Give (row numbers (b,), images (b, C, H, W) uint8), on the device; one shape a batch."""
    numbers, images = list[int](), list[np.ndarray]()

    def batch() -> tuple[np.ndarray, Tensor]:
        stacked = torch.from_numpy(np.stack(images)).to(device)
        return np.array(numbers), stacked.permute(0, 3, 1, 2).contiguous()

    for number, source in enumerate(sources):
        image = dataset.image(raw, source)
        if image.ndim != 3 or image.dtype != np.uint8 or 0 in image.shape:
            raise DataError(f"{source}: not an image of 8-bit levels", "check the source")
        if numbers and (images[-1].shape != image.shape or len(numbers) == BATCH):
            yield batch()
            numbers, images = [], []
        numbers.append(number)
        images.append(image)
    if numbers:
        yield batch()
