"""MNIST-DVS events x N-TIDIGITS cochlea spikes, paired by digit (the S-CMRL event data set).

Only single digits are used, and of the two words for zero only one: "z" (zero) is class 0 and "o"
(oh) is left out, unless `zero` is set. That leaves 4,500 of the 4,950 recordings
of eleven words, as the paper counts. Libraries disagree: tonic has o = 0, z = 10; events-tfds has
z = 0, o = 10.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from pipelines.clips.clips import Clip
from pipelines.clips.protocols import chosen, chosen_groups, seeded_order
from pipelines.datasets._names import listed
from pipelines.errors import DataError
from pipelines.readers.aedat import Orientation, read_aedat2
from pipelines.readers.events import Events
from pipelines.readers.ntidigits import Part, read_labels, read_spikes

VERSION = 1
COCHLEA = "n-tidigits.hdf5"
ZEROS = {"z": ("z",), "o": ("o",), "both": ("z", "o")}
VALIDATION_SHARE = 0.1
DOWNLOAD_HINT = "avsnn download mnistdvs-ntidigits; --from DIR takes the files from a folder"


def pairs(
    raw: Path,
    *,
    protocol: Annotated[
        Literal["paper", "disjoint"],
        Field(
            description="How clips are split: paper pairs, then splits 5:5, so that a "
            "recording may be on both sides; disjoint splits before pairing."
        ),
    ] = "paper",
    seed: Annotated[int, Field(ge=0, description="Seed of the pairing and of the splits.")] = 0,
    scale: Annotated[
        Literal[4, 8, 16],
        Field(description="Scale of the digits on the camera's sensor, as MNIST-DVS names it."),
    ] = 4,
    orientation: Annotated[
        Orientation,
        Field(
            description="Orientation of the events: raw is as stored, dat2mat mirrored, "
            "spikingjelly turned and inverted."
        ),
    ] = "raw",
    zero: Annotated[
        Literal["z", "o", "both"],
        Field(description="Word of class 0: z is zero, o is oh, both takes the two."),
    ] = "z",
) -> list[Clip]:
    """List a pair for each MNIST-DVS recording of a scale: 10,000.

    paper: within a class the audio is repeated until every event recording has one, then half of
    the pairs are the test set. disjoint: half of the event recordings, and N-TIDIGITS' own test
    part (other speakers), are the test set; then each side is paired. Validation is a tenth of
    training: of the pairs, or, for disjoint, of the event recordings and of the speakers.
    Raises DataError if a class has no events or no audio.
    """
    sights = _sights(raw, scale, orientation)
    sounds = {part: _sounds(raw, part, ZEROS[zero]) for part in ("train", "test")}
    if protocol == "paper":
        return _split_pairs(
            list(_paired(sights, {**sounds["train"], **sounds["test"]}, seed)), seed
        )
    # disjoint: events, and the speakers of the audio, are split first, then each split is paired
    speakers = {source: _speaker(source) for source in sounds["train"]}
    validation_sounds = chosen_groups(
        speakers, sounds["train"], VALIDATION_SHARE, seed, "validation speakers"
    )
    test = chosen(sights, 0.5, seed, "test")
    rest = {source: label for source, label in sights.items() if source not in test}
    validation_events = chosen(rest, VALIDATION_SHARE, seed, "validation")
    return [
        clip
        for split, sight, sound in (
            ("train", set(rest) - validation_events, set(sounds["train"]) - validation_sounds),
            ("validation", validation_events, validation_sounds),
            ("test", test, set(sounds["test"])),
        )
        for clip in _paired(
            {source: label for source, label in sights.items() if source in sight},
            {s: label for part in sounds.values() for s, label in part.items() if s in sound},
            seed,
            split,
        )
    ]


def events(raw: Path, source: str) -> Events:
    """Read a recording "<orientation>/grabbed_data<d>/…": events of 128 x 128 pixels, 2-3 s."""
    orientation, _, path = source.partition("/")
    return read_aedat2(raw / path, orientation)  # type: ignore[arg-type]


def spikes(raw: Path, source: str) -> Events:
    """Read a recording "<part>/<label>" of N-TIDIGITS: spikes of 64 channels."""
    part, _, label = source.partition("/")
    return read_spikes(raw / COCHLEA, part, label)  # type: ignore[arg-type]


def _paired(
    sights: Mapping[str, int], sounds: Mapping[str, int], seed: int, split: str = "train"
) -> Iterator[Clip]:
    """Iterate over pairs: each event recording with the next audio of its class, in seeded order.

    Audio is repeated in turn. Raises DataError for a class without audio.
    """
    stock: dict[int, list[str]] = defaultdict(list)
    for source in seeded_order(sounds, seed, "audio"):
        stock[sounds[source]].append(source)
    used: dict[int, int] = defaultdict(int)
    for source in seeded_order(sights, seed, "events"):
        label = sights[source]
        if not stock[label]:
            raise DataError(f"no audio of {label} for the {split} split", DOWNLOAD_HINT)
        sound = stock[label][used[label] % len(stock[label])]
        used[label] += 1
        name = f"{Path(source).stem}-{sound.replace('/', '-')}"
        yield Clip(name, split, label, sound, sound, source, speaker=_speaker(sound))


def _split_pairs(clips: list[Clip], seed: int) -> list[Clip]:
    """Return the pairs split 5:5, with a tenth of training for validation."""
    # as in the paper: audio that repeats may be in two splits, which the leak audit counts
    labels = {clip.id: clip.label for clip in clips}
    test = chosen(labels, 0.5, seed, "test")
    rest = {name: label for name, label in labels.items() if name not in test}
    validation = chosen(rest, VALIDATION_SHARE, seed, "validation")
    splits = dict.fromkeys(test, "test") | dict.fromkeys(validation, "validation")
    return [Clip(**{**vars(clip), "split": splits.get(clip.id, "train")}) for clip in clips]


def _sights(raw: Path, scale: int, orientation: str) -> dict[str, int]:
    """Return the event recordings of a scale with their digits. Raises DataError for none."""
    digits = {}
    for digit in range(10):
        folder = raw / f"grabbed_data{digit}" / f"scale{scale}"
        form = re.compile(rf"mnist_{digit}_scale{scale:02d}_[0-9]{{4}}")
        names = [match[0] for match in listed(folder, ".aedat", form)]
        if not names:
            raise DataError(f"{folder}: no recordings there", DOWNLOAD_HINT)
        for name in names:
            path = folder / f"{name}.aedat"
            # the orientation is in the source's name, so that other orientations have other clips
            digits[f"{orientation}/{path.relative_to(raw).as_posix()}"] = digit
    return digits


def _sounds(raw: Path, part: Part, zeros: tuple[str, ...]) -> dict[str, int]:
    """Return the single digits of a part, "<part>/<label>", with their classes.

    Raises DataError if a class has none.
    """
    words = {str(digit): digit for digit in range(1, 10)} | dict.fromkeys(zeros, 0)
    labels = read_labels(raw / COCHLEA, part)
    # -1: the other word for zero, and sequences of digits
    digits = {f"{part}/{label}": words.get(label.rpartition("-")[2], -1) for label in labels}
    digits = {source: digit for source, digit in digits.items() if digit >= 0}
    counts = [sum(label == digit for label in digits.values()) for digit in range(10)]
    if 0 in counts:
        raise DataError(
            f"{raw / COCHLEA}: single digits 0 to 9 in the {part} part: {counts} recordings",
            "2,464 and 2,486 single digits of eleven words are published: download the file again",
        )
    return digits


def _speaker(source: str) -> str:
    """Return "<man|woman>-<speaker>" of "<part>/<man|woman>-<speaker>-<a|b>-<digit>"."""
    return source.partition("/")[2].rsplit("-", 2)[0]
