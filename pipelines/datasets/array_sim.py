"""A simulated array of four microphones: four kinds of sound from a known azimuth, built offline.

The array is the ReSpeaker's square unless the radius is changed. Sounds reach it as plane waves,
from a point 1.5 m away, or in a room with echoes (image sources, pyroomacoustics); delays are
exact to any fraction of a sample. Every clip is a function of its name alone. A toy: its numbers
show that a localiser works, not how good it is in a real room.
"""

import re
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pipelines.clips.clips import Clip
from pipelines.clips.protocols import chosen, chosen_groups
from pipelines.errors import DataError, UsageError
from pipelines.signal.arrays import circle, direction, far_field_delays, spherical_delays
from pipelines.signal.fractional_delay import delayed

Array = NDArray[np.float64]

VERSION = 1
MICROPHONES = 4
FIRST_DEG = 45.0  # where the first microphone is
RATE_HZ = 16_000
SAMPLES = 16_000
DISTANCE_M = 1.5  # SLoClas's
CLASSES = ("chirp", "clicks", "noise", "tone")
BAND_HZ = (100.0, 7200.0)
LEVEL = 0.03  # root mean square of a sound while it lasts, at the array's centre
TEST_SHARE, VALIDATION_SHARE = 0.3, 0.1
SOURCE = re.compile(
    r"(chirp|clicks|noise|tone)_az([0-9]{3}\.[0-9]{3})_(far|point|room)_r(0\.[0-9]{5})"
    r"_snr(-?[0-9]{1,3})_s([0-9]{1,10})_n([0-9]{2})"
)


def pairs(
    raw: Path,
    *,
    protocol: Annotated[
        Literal["random", "leave-azimuth-out"],
        Field(
            description="What is held out: random holds out clips of each class, "
            "leave-azimuth-out whole steps of the azimuth."
        ),
    ] = "random",
    seed: Annotated[
        int, Field(ge=0, lt=2**31, description="Seed of the split and of the sounds.")
    ] = 0,
    azimuth_step_deg: Annotated[
        Literal[1, 2, 5, 10, 15, 30, 45],
        Field(description="Distance from one azimuth to the next in degrees."),
    ] = 5,
    continuous: Annotated[
        bool, Field(description="Draw azimuths anywhere between the steps, not on them.")
    ] = False,
    clips_per_azimuth: Annotated[
        int, Field(ge=1, le=100, description="Number of clips of each class at each azimuth.")
    ] = 2,
    propagation: Annotated[
        Literal["far", "point", "room"],
        Field(
            description="How sound travels: far is plane waves, point a source at 1.5 m, "
            "room a source at 1.5 m with echoes."
        ),
    ] = "far",
    radius_m: Annotated[
        float, Field(ge=0.01, le=0.25, description="Radius of the microphones' circle in m.")
    ] = 0.03232,
    snr_db: Annotated[
        int,
        Field(
            ge=-20, le=120, description="Ratio in dB of the sound to each microphone's own noise."
        ),
    ] = 30,
) -> list[Clip]:
    """List the clips: 70 % for training (a tenth of it for validation), 30 % for testing.

    leave-azimuth-out: no azimuth is in two of training, validation and test. Raises UsageError
    for a room without pyroomacoustics.
    """
    if propagation == "room" and find_spec("pyroomacoustics") is None:
        raise _no_rooms()
    labels, steps, azimuths = {}, {}, {}
    for step in range(0, 360, azimuth_step_deg):
        for label, kind in enumerate(CLASSES):
            for number in range(clips_per_azimuth):
                azimuth = float(step)
                if continuous:
                    drawn = np.random.default_rng([seed, step, label, number]).random()
                    # the name has three decimals; rounded down, or it could be the next step's
                    azimuth += np.floor(1000 * drawn * azimuth_step_deg) / 1000
                name = (
                    f"{kind}_az{azimuth:07.3f}_{propagation}_r{radius_m:.5f}"
                    f"_snr{snr_db}_s{seed}_n{number:02d}"
                )
                labels[name], steps[name], azimuths[name] = label, f"{step:03d}", azimuth
    test = _held_out(labels, steps, protocol, TEST_SHARE, seed, "test")
    rest = {name: label for name, label in labels.items() if name not in test}
    validation = _held_out(rest, steps, protocol, VALIDATION_SHARE, seed, "validation")
    return [
        Clip(
            name,
            "test" if name in test else "validation" if name in validation else "train",
            label,
            name,
            name,
            "",
            azimuth_deg=azimuths[name],
        )
        for name, label in labels.items()
    ]


def _held_out(
    labels: dict[str, int], steps: dict[str, str], protocol: str, share: float, seed: int, use: str
) -> set[str]:
    """Return the clips held out: a share of each class, or whole steps of the azimuth."""
    if protocol == "random":
        return chosen(labels, share, seed, use)
    # one class for all: a step is held out with the sounds of every class
    groups = {name: steps[name] for name in labels}
    return chosen_groups(groups, dict.fromkeys(labels, 0), share, seed, use)


def audio(raw: Path, source: str) -> tuple[np.ndarray, int]:
    """Synthesise a clip by its name: (4, 16000) float32, and 16 kHz.

    Raises DataError for a name that is not a clip's, UsageError for a room without pyroomacoustics.
    """
    match = SOURCE.fullmatch(source)
    if match is None:
        raise DataError(f"no simulated clip {source[:80]!r}", "run avsnn prepare again")
    kind, azimuth_deg, propagation, radius_m = match[1], float(match[2]), match[3], float(match[4])
    # all that makes the clip another sound; not the radius, propagation and noise, so that these
    # can be compared on the same sounds
    numbers = [int(match[6]), int(match[7]), CLASSES.index(kind), round(1000 * azimuth_deg)]
    random = np.random.default_rng(numbers)
    sound = synthesised(kind, random)
    microphones = circle(MICROPHONES, radius_m, FIRST_DEG)
    if propagation == "far":
        received = delayed(sound, RATE_HZ * far_field_delays(microphones, azimuth_deg))
    elif propagation == "point":
        delays, gains = spherical_delays(microphones, DISTANCE_M * direction(azimuth_deg))
        received = delayed(sound, RATE_HZ * delays, gains)
    else:
        received = _in_room(sound, azimuth_deg, microphones, random)
    noise = LEVEL * 10 ** (-int(match[5]) / 20) * random.standard_normal(received.shape)
    return (received + noise).astype(np.float32), RATE_HZ


def synthesised(kind: str, random: np.random.Generator) -> Array:
    """Synthesise a sound of 0.5 to 0.75 s, with silence before and after: (16000,).

    kind: chirp, linear sweeps of 40 to 120 ms, all up or all down; clicks, decaying pulses at 8 to
    25 a second; noise, a burst; tone, harmonics of 150 to 400 Hz. Nothing outside 100 to 7,200 Hz.
    """
    length = int(random.integers(SAMPLES // 2, SAMPLES * 3 // 4))
    onset = int(random.integers(SAMPLES // 16, SAMPLES * 3 // 16))
    time_s = np.arange(length) / RATE_HZ
    if kind == "chirp":
        ends_hz = random.permutation([random.uniform(200, 600), random.uniform(4000, 7000)])
        sweep_s = random.uniform(0.04, 0.12)
        since_s = time_s % sweep_s
        slope = (ends_hz[1] - ends_hz[0]) / sweep_s
        played = np.sin(2 * np.pi * (ends_hz[0] * since_s + slope / 2 * since_s**2))
    elif kind == "clicks":
        rate_hz, ring_hz = random.uniform(8, 25), random.uniform(1000, 4000)
        since_s = time_s % (1 / rate_hz)
        played = np.exp(-since_s / 0.002) * np.sin(2 * np.pi * ring_hz * since_s)
    elif kind == "noise":
        played = random.standard_normal(length)
    else:
        first_hz = random.uniform(150, 400)
        harmonic = np.arange(1, int(7000 / first_hz) + 1)[:, None]
        phase = random.uniform(0, 2 * np.pi, harmonic.shape)
        played = (np.sin(2 * np.pi * harmonic * first_hz * time_s + phase) / harmonic**0.5).sum(0)
    # 10 ms at both ends: a step would be a click in any kind of sound
    fade = np.minimum(1, np.minimum(np.arange(length), np.arange(length)[::-1]) / 160)
    sound = np.zeros(SAMPLES)
    sound[onset : onset + length] = played * np.sin(np.pi / 2 * fade) ** 2
    # the last filter, so that the fade and the clicks stay in the band too
    spectrum, hz = np.fft.rfft(sound), np.fft.rfftfreq(SAMPLES, 1 / RATE_HZ)
    spectrum[(hz < BAND_HZ[0]) | (hz > BAND_HZ[1])] = 0
    filtered: Array = np.fft.irfft(spectrum, SAMPLES)
    return filtered * float(LEVEL / np.sqrt(np.mean(filtered[onset : onset + length] ** 2)))


def _in_room(
    sound: Array, azimuth_deg: float, microphones: Array, random: np.random.Generator
) -> Array:
    """Return a sound as the microphones receive it 1.5 m away in a random room: (4, 16000).

    The room has 0.2 to 0.4 s of reverberation. Raises UsageError without pyroomacoustics.
    """
    try:
        pyroomacoustics = import_module("pyroomacoustics")  # an extra: it may not be there
    except ImportError as error:
        raise _no_rooms() from error
    size = random.uniform([4.5, 4.5, 2.5], [8.0, 7.0, 3.5])
    # the loudspeaker stays half a metre from the walls in every direction from the array
    aside = [DISTANCE_M + 0.5, DISTANCE_M + 0.5, 1.0]
    centre = random.uniform(aside, size - aside)
    absorption, order = pyroomacoustics.inverse_sabine(random.uniform(0.2, 0.4), size)
    # the order is bounded, for the number of image sources grows with its cube
    room = pyroomacoustics.ShoeBox(
        size, fs=RATE_HZ, materials=pyroomacoustics.Material(absorption), max_order=min(order, 15)
    )
    room.add_source(centre + DISTANCE_M * direction(azimuth_deg))
    room.add_microphone_array((centre + microphones).T)
    room.compute_rir()
    responses = [channel[0] for channel in room.rir]
    # long enough that the circular convolution does not wrap round
    length = SAMPLES + max(map(len, responses))
    spectra = np.stack([np.fft.rfft(response, length) for response in responses])
    received: Array = np.fft.irfft(spectra * np.fft.rfft(sound, length), length, axis=-1)
    # scaled to the power without echoes: the library's gain for the distance would change the SNR
    gain = np.sqrt((sound**2).sum() / (received**2).sum(1).mean())
    return float(gain) * received[:, :SAMPLES]


def _no_rooms() -> UsageError:
    return UsageError("rooms need pyroomacoustics", "pip install 'avsnn[room]'")
