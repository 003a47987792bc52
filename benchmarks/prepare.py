"""Measure decode, resample, feature and HDF5, together and each alone, against a librosa loop."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import librosa
import numpy as np
import soundfile
import torch
from interleaved import interleaved

from pipelines.cache.batching import batches
from pipelines.cache.rows import Block, write
from pipelines.cache.source_reader import Reading
from pipelines.cache.workers import decode_all, worker_count
from pipelines.features import stft
from pipelines.signal.resample import resample

CLIPS, SECONDS, RATE_IN, RATE = 400, 4, 44100, 22050
FOLDER = "fsdd/recordings"  # the reader of spoken-digits-av accepts any sound file


def measure_prepare(device: torch.device, rounds: int) -> dict[str, Any]:
    """Build a cache of STFTs at 22.05 kHz from 400 clips of 4 s, 44.1 kHz, stereo, 16 bit."""
    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as name:
        raw = Path(name)
        (raw / FOLDER).mkdir(parents=True)
        sources = [f"{FOLDER}/{i}.wav" for i in range(CLIPS)]
        for source in sources:
            noise = random.normal(0, 0.1, (SECONDS * RATE_IN, 2))
            soundfile.write(raw / source, noise, RATE_IN, "PCM_16")
        workers = worker_count(None)
        variants: dict[str, Callable[[], object]] = {
            "librosa loop": lambda: _librosa(raw, sources),
            "avsnn, one thread": lambda: _chain(raw, sources, device, 0),
            f"avsnn, {workers} threads decode": lambda: _chain(raw, sources, device, workers),
        }
        parts = _parts(raw, sources, device)
        times = interleaved({**variants, **parts}, rounds, "librosa loop")
    return {
        "cores": len(os.sched_getaffinity(0)),
        "clips_per_s": {n: round(CLIPS / times[n]["seconds"], 1) for n in variants},
        "speed_ratio": {n: round(1 / times[n]["ratio_to_librosa loop"], 2) for n in variants},
        "ms_per_clip_of_each_part": {
            n: round(1000 * times[n]["seconds"] / CLIPS, 3) for n in parts
        },
    }


def _chain(raw: Path, sources: list[str], device: torch.device, workers: int) -> None:
    reading = Reading("spoken-digits-av", raw, "waveform", SECONDS, {})
    groups = batches(
        decode_all(reading, sources, workers), reading, sample_rate=RATE, refused={}, device=device
    )
    blocks = (
        Block(names, stft.extract(data).half().cpu().numpy(), content, look)
        for names, data, content, look in groups
    )
    write(raw / "cache.h5", CLIPS, (1, 128, 128), np.dtype("f2"), blocks, {})


def _librosa(raw: Path, sources: list[str]) -> None:
    with h5py.File(raw / "librosa.h5", "w") as file:
        rows = file.create_dataset("rows", (CLIPS, 257, 250), "f2")
        for row, source in enumerate(sources):
            waveform, _ = librosa.load(raw / source, sr=RATE, duration=SECONDS)
            magnitude = np.abs(librosa.stft(waveform, n_fft=512, hop_length=353))
            rows[row] = np.log(magnitude + 1e-7)[:, :250]


def _parts(raw: Path, sources: list[str], device: torch.device) -> dict[str, Callable[[], object]]:
    """Return each step of the chain on its own, with its input ready."""
    reading = Reading("spoken-digits-av", raw, "waveform", SECONDS, {})
    waveforms = torch.randn(64, SECONDS * RATE_IN).mul_(0.1).to(device)
    halved = waveforms[:, ::2].contiguous()
    rows = np.zeros((64, 1, 128, 128), np.float16)
    hashes = np.zeros(64, np.uint64)
    turns = CLIPS // 64

    def repeat(step: Callable[[], object]) -> Callable[[], object]:
        def run() -> None:
            for _ in range(turns):
                step()
            # kernels run on after the call returns
            if device.type == "cuda":
                torch.cuda.synchronize()

        return run

    block = Block([f"{i}" for i in range(64)], rows, hashes, hashes)
    return {
        "decode and hash": lambda: list(decode_all(reading, sources, 0)),
        "resample": repeat(lambda: resample(waveforms, RATE_IN, RATE)),
        "feature": repeat(lambda: stft.extract(halved)),
        "HDF5": lambda: write(
            raw / "part.h5", CLIPS, (1, 128, 128), np.dtype("f2"), [block] * turns, {}
        ),
    }
