"""Handwritten digits x telephone keypad tones, built offline in seconds: the quickstart.

Images: scikit-learn's 1,797 real digits (8 x 8, UCI optical recognition, test part). Sound: the
keypad tone of the same digit, synthesised after ITU-T Q.23 (the two frequencies of each key,
within +-1.5 % of nominal) and Q.24 (levels, and a twist, the low tone's level over the high one's,
of -4 to 8 dB), 8 kHz, with random onset, length, level, twist and frequency offset. A toy: its
numbers show that the tool works, not how good a network is.
"""

from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from pipelines.clips.clips import SPLITS, Clip

VERSION = 1
RATE_HZ = 8000
SECONDS = 0.5
LOW_HZ = (697, 770, 852, 941)
HIGH_HZ = (1209, 1336, 1477)
# the keypad's rows and columns: 1 2 3 / 4 5 6 / 7 8 9 / * 0 #
KEY = {
    1: (0, 0),
    2: (0, 1),
    3: (0, 2),
    4: (1, 0),
    5: (1, 1),
    6: (1, 2),
    7: (2, 0),
    8: (2, 1),
    9: (2, 2),
    0: (3, 1),
}


def pairs(
    raw: Path,
    *,
    protocol: Annotated[
        Literal["stratified"],
        Field(
            description="How clips are split: stratified is 70, 15 and 15 % of each class, by seed."
        ),
    ] = "stratified",
    seed: Annotated[int, Field(ge=0, description="Seed of the split and of the tones.")] = 0,
) -> list[Clip]:
    """List 1,797 pairs; each image and each tone is in one split only."""
    labels = _digits()[1]
    clips = []
    for digit in range(10):
        members = np.flatnonzero(labels == digit)
        order = np.random.default_rng([seed, digit]).permutation(members)
        ends = round(0.7 * len(order)), round(0.85 * len(order))
        for position, index in enumerate(order):
            split = SPLITS[(position >= ends[0]) + (position >= ends[1])]
            name = f"{index:04d}"
            tone = f"tone-{digit}-{seed}-{name}"
            clips.append(Clip(name, split, digit, name, tone, f"digit-{name}"))
    return sorted(clips, key=lambda clip: clip.id)


def audio(raw: Path, source: str) -> tuple[np.ndarray, int]:
    """Synthesise a tone "tone-<digit>-<seed>-<number>": (1, samples) float32 in [-1, 1], rate."""
    _, digit, seed, number = source.split("-")
    # 23 separates the tones from other draws of this seed (digits-events takes 29)
    random = np.random.default_rng([int(seed), int(number), 23])
    low, high = LOW_HZ[KEY[int(digit)][0]], HIGH_HZ[KEY[int(digit)][1]]
    length_s = random.uniform(0.04, 0.3)
    onset_s = random.uniform(0.0, SECONDS - length_s)
    level_db = random.uniform(-24.0, -6.0)
    twist_db = random.uniform(-4.0, 8.0)
    offset = 1 + random.uniform(-0.015, 0.015, size=2)
    phase = random.uniform(0, 2 * np.pi, size=2)
    time_s = np.arange(round(length_s * RATE_HZ)) / RATE_HZ
    # twist: the low tone's level over the high one's (Q.24)
    gains = 10 ** (np.array([twist_db, 0.0]) / 20)
    frequencies = np.array([low, high]) * offset
    tone = gains[:, None] * np.sin(2 * np.pi * frequencies[:, None] * time_s + phase[:, None])
    mixed = tone.sum(0) / gains.sum() * 10 ** (level_db / 20)
    waveform = np.zeros((1, round(SECONDS * RATE_HZ)), np.float32)
    start = round(onset_s * RATE_HZ)
    waveform[0, start : start + len(mixed)] = mixed[: waveform.shape[1] - start]
    return waveform, RATE_HZ


def image(raw: Path, source: str) -> np.ndarray:
    """Return a digit "digit-<number>": (8, 8, 1) uint8."""
    pixels: np.ndarray = _digits()[0][int(source.removeprefix("digit-"))]
    # scikit-learn's levels are 0 to 16
    levels: np.ndarray = np.round(pixels * (255 / 16)).astype(np.uint8)
    return levels[..., None]


@lru_cache(1)
def _digits() -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits  # a second to import

    bunch = load_digits()
    return bunch.images, bunch.target
