"""Handwritten digits before an event camera x spikes of a cochlea that hears keypad tones, offline.

The digits and tones of digits-av, as two neuromorphic sensors would record them. Sight: an 8 x 8
digit, 3 sensor pixels a cell, runs along a triangle in three straight moves of 100 ms (N-MNIST's
saccades, but of seeded size and direction) before a log-intensity threshold camera of 32 x 32
pixels. Sound: a bank of 64 gammatone filters with an integrate-and-fire neuron each. A toy: its
numbers show that the tool works, not how good a network is.
"""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from pipelines.clips.clips import Clip
from pipelines.datasets import digits_av
from pipelines.readers.events import Events
from pipelines.signal.cochlea import cochlea_spikes
from pipelines.signal.dvs_model import camera_events

VERSION = 1
SIDE = 32
PIXELS_A_CELL = 3
FRAMES_A_MOVE = 20
MOVE_US = 100_000
DARK = 0.1  # of the brightest: a lit scene is never black
THRESHOLD = 0.2


def pairs(
    raw: Path,
    *,
    protocol: Annotated[
        Literal["stratified"],
        Field(
            description="How clips are split: stratified is 70, 15 and 15 % of each class, by seed."
        ),
    ] = "stratified",
    seed: Annotated[
        int, Field(ge=0, description="Seed of the split, of the tones and of the moves.")
    ] = 0,
) -> list[Clip]:
    """List 1,797 pairs; each image and each tone is in one split only."""
    clips = digits_av.pairs(raw, protocol=protocol, seed=seed)
    return [replace(clip, visual=f"moves-{seed}-{clip.id}") for clip in clips]


def spikes(raw: Path, source: str) -> Events:
    """Compute the spikes of a tone "tone-<digit>-<seed>-<number>": 64 channels, 100 to 3,500 Hz."""
    waveform, rate_hz = digits_av.audio(raw, source)
    return cochlea_spikes(waveform[0], rate_hz)


def events(raw: Path, source: str) -> Events:
    """Compute the events of a digit "moves-<seed>-<number>": 32 x 32 pixels, 300 ms."""
    _, seed, number = source.split("-")
    digit = digits_av.image(raw, f"digit-{number}")[..., 0] / 255
    offset = _path(np.random.default_rng([int(seed), int(number), 29]))
    rows, columns = (_weights(offset[:, axis], len(digit)) for axis in (0, 1))
    # separable: weights of rows and of columns, (frames, SIDE, cells) each
    ink = rows @ digit @ columns.transpose(0, 2, 1)
    times_us = np.arange(len(offset)) * (MOVE_US // FRAMES_A_MOVE)
    return camera_events(DARK + (1 - DARK) * ink, times_us, THRESHOLD)


def _path(random: np.random.Generator) -> np.ndarray:
    """Return a path round an equilateral triangle: (frames, 2) pixels off the middle, y and x."""
    radius, angle = random.uniform(1.5, 2.5), random.uniform(0, 2 * np.pi)
    corners = angle + 2 * np.pi / 3 * np.arange(4) * random.choice([-1, 1])
    # in units of moves; the last corner is the first, so that the digit ends where it began
    along = np.arange(3 * FRAMES_A_MOVE + 1) / FRAMES_A_MOVE
    path: np.ndarray = radius * np.stack(
        [np.interp(along, np.arange(4), turn(corners)) for turn in (np.sin, np.cos)], 1
    )
    return path


def _weights(offset: np.ndarray, cells: int) -> np.ndarray:
    """Return each cell's bilinear share of each sensor line: (frames,) to (frames, SIDE, cells)."""
    centre = (np.arange(cells) + 0.5 - cells / 2) * PIXELS_A_CELL + SIDE / 2
    distance = np.arange(SIDE)[:, None] + 0.5 - centre - offset[:, None, None]
    weights: np.ndarray = np.maximum(0.0, 1 - np.abs(distance) / PIXELS_A_CELL)
    return weights
