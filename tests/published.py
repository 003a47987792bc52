"""Small data sets in the layouts in which they are published; the values in them are our own."""

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from PIL import Image

from pipelines.clips.clips import SPLITS, Clip
from pipelines.datasets import _urbansound
from pipelines.datasets._urbansound_metadata import COLUMNS


def wav(path: Path, seconds: float = 0.1, rate_hz: int = 8000, seed: int = 0) -> None:
    """Write noise that no other seed has."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).uniform(-0.5, 0.5, round(seconds * rate_hz))
    soundfile.write(path, noise, rate_hz, subtype="PCM_16")


def four_channels(
    path: Path, seconds: float, rate_hz: int = 48_000, channels: int = 4, seed: int = 0
) -> None:
    """Write noise as an array of microphones records it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    samples = random.integers(-20_000, 20_000, (round(seconds * rate_hz), channels), np.int16)
    soundfile.write(path, samples, rate_hz, subtype="PCM_16")


def tau_table(path: Path, events: Iterable[str]) -> None:
    """Write a table of events as TAU Spatial Sound Events 2019 has them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ["sound_event_recording,start_time,end_time,ele,azi,dist", *events]
    path.write_bytes("\r\n".join(lines).encode() + b"\r\n")


def by_split(clips: list[Clip], field: str) -> dict[str, set[Any]]:
    """Return which values of a field each split has."""
    return {split: {getattr(c, field) for c in clips if c.split == split} for split in SPLITS}


def png(path: Path, seed: int = 0, side: int = 12) -> None:
    """Write an image that no other seed has."""
    path.parent.mkdir(parents=True, exist_ok=True)
    small = np.random.default_rng([seed, 1]).integers(0, 256, (4, 4, 3), np.uint8)
    Image.fromarray(small).resize((side, side), Image.Resampling.NEAREST).save(path)


def urbansound8k(raw: Path, recordings: int = 3, slices: int = 2) -> list[str]:
    """Write UrbanSound8K's folder: in each fold and class `recordings` of `slices` each."""
    rows = []
    for fold in range(1, 11):
        for label, name in enumerate(_urbansound.CLASSES):
            for recording in range(recordings):
                fsid = 1000 * fold + 100 * label + recording
                for part in range(slices):
                    stem = f"{fsid}-{label}-0-{part}"
                    wav(raw / f"UrbanSound8K/audio/fold{fold}/{stem}.wav", seed=len(rows))
                    rows.append(
                        [f"{stem}.wav", fsid, 2.0 * part, 2.0 * part + 4, 1, fold, label, name]
                    )
    metadata = raw / "UrbanSound8K/metadata/UrbanSound8K.csv"
    metadata.parent.mkdir(parents=True)
    with metadata.open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    return [row[0].removesuffix(".wav") for row in rows]


def urbansound8k_av(folder: Path, layout: tuple[str, str], each: int = 6) -> list[str]:
    """Write class folders of pairs whose stems are those of real slices."""
    stems = []
    for label, name in enumerate(_urbansound.CLASSES):
        mine = [stem for stem in sorted(_urbansound.folds()) if stem.split("-")[1] == str(label)]
        for stem in mine[:: len(mine) // each][:each]:
            wav(folder / layout[0] / name / f"{stem}.wav", seed=len(stems))
            png(folder / layout[1] / name / f"{stem}.jpg", seed=len(stems))
            stems.append(stem)
    return stems


def class_pairs(folder: Path, layout: tuple[str, str], classes: tuple[str, ...], each: int) -> None:
    """Write class folders of pairs; two sounds are cut from each recording."""
    for label, name in enumerate(classes):
        for i in range(each):
            stem = f"{100 * label + i // 2}-{i % 2}"
            wav(folder / layout[0] / name / f"{stem}.wav", seed=100 * label + i)
            png(folder / layout[1] / name / f"{stem}.png", seed=100 * label + i)


def cifar10_binary(folder: Path, rows: int) -> None:
    """Write the binary version of CIFAR-10, of fewer rows; row i is of class i % 10."""
    folder.mkdir(parents=True)
    names = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]
    for number, name in enumerate(names):
        content = np.random.default_rng(number).integers(0, 256, (rows, 3073), np.uint8)
        content[:, 0] = np.arange(rows) % 10
        content.tofile(folder / name)


def aedat2(path: Path, x: np.ndarray, y: np.ndarray, p: np.ndarray, t_us: np.ndarray) -> None:
    """Write a DVS128's recording as jAER does: a header of # lines, big-endian pairs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    address = (np.asarray(y, ">u4") << 8) | (np.asarray(x, ">u4") << 1) | np.asarray(p, ">u4")
    pairs = np.stack([address, np.asarray(t_us, ">u4")], 1).astype(">u4")
    path.write_bytes(b"#!AER-DAT2.0\r\n# a camera\r\n" + pairs.tobytes())


def nmnist(path: Path, x: np.ndarray, y: np.ndarray, p: np.ndarray, t_us: np.ndarray) -> None:
    """Write N-MNIST's 40-bit events."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = np.stack(
        [
            x,
            y,
            np.asarray(p) << 7 | np.asarray(t_us) >> 16,
            np.asarray(t_us) >> 8 & 255,
            np.asarray(t_us) & 255,
        ],
        1,
    )
    rows.astype(np.uint8).tofile(path)


def random_events(
    seed: int, side: int, count: int = 200, span_us: int = 300_000
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Draw x, y, p and ascending times."""
    random = np.random.default_rng(seed)
    x, y = random.integers(0, side, (2, count))
    return x, y, random.integers(0, 2, count), np.sort(random.integers(0, span_us, count))


def mnist_dvs(raw: Path, scale: int = 4, each: int = 6) -> None:
    """Write MNIST-DVS' folders of one scale, `each` recordings a digit."""
    for digit in range(10):
        for i in range(1, each + 1):
            name = f"mnist_{digit}_scale{scale:02d}_{i:04d}.aedat"
            aedat2(
                raw / f"grabbed_data{digit}/scale{scale}" / name,
                *random_events(100 * digit + i, 128),
            )


def ntidigits(path: Path, speakers: int = 4, *, sequences: bool = True) -> None:
    """Write N-TIDIGITS18: single digits by `speakers` in each part, and some longer sequences."""
    import h5py

    words = [*"oz123456789"]
    with h5py.File(path, "w") as file:
        for part_number, part in enumerate(("train", "test")):
            labels = []
            for speaker in range(speakers):
                who = f"{'man' if speaker % 2 else 'woman'}-{'ab'[part_number]}{speaker}"
                spoken = words + (["12", "o3z"] if sequences else [])
                labels += [f"{who}-a-{word}" for word in spoken]
            file[f"{part}_labels"] = np.array(labels, dtype="S")
            for number, label in enumerate(labels):
                random = np.random.default_rng([part_number, number])
                times = np.sort(random.uniform(0, 0.8, 120))
                file[f"{part}_addresses/{label}"] = random.integers(0, 64, 120)
                file[f"{part}_timestamps/{label}"] = times


def n_mnist(raw: Path, each: int = 4) -> None:
    """Write N-MNIST's Train and Test folders of .bin files."""
    for part, start in (("Train", 1), ("Test", 50_001)):
        for digit in range(10):
            for i in range(each):
                number = start + 10 * i + digit
                nmnist(raw / f"n-mnist/{part}/{digit}/{number:05d}.bin", *random_events(number, 34))


def fsdd(folder: Path, speakers: tuple[str, ...] = ("george", "theo")) -> None:
    """Write FSDD's recordings by some speakers, indices 0 to 8."""
    for digit in range(10):
        for number, speaker in enumerate(speakers):
            for index in range(9):
                wav(
                    folder / f"{digit}_{speaker}_{index}.wav",
                    0.2,
                    seed=1000 * digit + 100 * number + index,
                )
