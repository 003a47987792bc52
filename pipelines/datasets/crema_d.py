"""CREMA-D: 7,442 clips of 91 actors who speak 12 sentences in 6 emotions, with sound and video.

Cao et al., IEEE Transactions on Affective Computing 5(4), 2014. Four videos and one sound are
broken in the published set: each file is checked when it is read, and a clip with a broken part is
excluded and counted.
"""

import csv
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from pipelines.clips.clips import Clip
from pipelines.clips.protocols import chosen, seeded_order
from pipelines.datasets._names import listed
from pipelines.errors import DataError
from pipelines.readers.sound import read_wav
from pipelines.readers.video import Pick, read_frames

VERSION = 2
EMOTIONS = ("ANG", "DIS", "FEA", "HAP", "NEU", "SAD")  # OGM-GE counts NEU, HAP, SAD, FEA, DIS, ANG
NAME = re.compile(r"([0-9]{4})_([A-Z]{3})_(ANG|DIS|FEA|HAP|NEU|SAD)_(LO|MD|HI|XX)")
LISTS = {"train": "crema-d-ogm-split/train.csv", "test": "crema-d-ogm-split/test.csv"}
MAX_LIST_BYTES = 1 << 20
VALIDATION_SHARE = 0.1
# of 91 actors and of 12 sentences, as others have split them: 56 / 18 / 17 actors (audEERING)
TEST_ACTORS, VALIDATION_ACTORS = 17, 18
TEST_SENTENCES, VALIDATION_SENTENCES = 2, 1
BLACK = 10  # a frame without a level above it: nothing was recorded
DOWNLOAD_HINT = "avsnn download crema-d; --from DIR takes the files from a folder"


def pairs(
    raw: Path,
    *,
    protocol: Annotated[
        Literal["ogm-ge", "speaker-independent", "sentence-independent"],
        Field(
            description="How clips are split: ogm-ge has OGM-GE's lists, "
            "speaker-independent no actor in two splits, sentence-independent no "
            "sentence."
        ),
    ] = "ogm-ge",
    seed: Annotated[
        int,
        Field(
            ge=0,
            description="Seed of the validation split and, where the protocol draws them, "
            "of the other splits.",
        ),
    ] = 0,
) -> list[Clip]:
    """List the 7,442 clips; one that lacks its sound or its video is excluded.

    Raises DataError if there are none, a file's name is of another form, or
    the lists of OGM-GE do not fit the files' names.
    """
    sounds = {match[0] for match in listed(raw / "AudioWAV", ".wav", NAME)}
    films = {match[0] for match in listed(raw / "VideoFlash", ".flv", NAME)}
    names = sorted(sounds | films)
    if not names:
        raise DataError(f"no clips in {raw / 'AudioWAV'} and {raw / 'VideoFlash'}", DOWNLOAD_HINT)
    if protocol == "ogm-ge":
        splits = _listed(raw, names, seed)
    else:
        part = 0 if protocol == "speaker-independent" else 1
        actors = (TEST_ACTORS, VALIDATION_ACTORS)
        counts = actors if part == 0 else (TEST_SENTENCES, VALIDATION_SENTENCES)
        splits = _held_out(names, part, counts, seed, protocol)
    clips = []
    for name, split in splits.items():
        actor, sentence, emotion = name.split("_")[:3]
        lacking = [
            kind for kind, there in (("sound", sounds), ("video", films)) if name not in there
        ]
        clips.append(
            Clip(
                name,
                split,
                EMOTIONS.index(emotion),
                f"{actor}_{sentence}_{emotion}",
                f"AudioWAV/{name}.wav",
                f"VideoFlash/{name}.flv",
                speaker=actor,
                excluded=f"has no {' and no '.join(lacking)}" if lacking else "",
            )
        )
    return clips


def audio(raw: Path, source: str) -> tuple[np.ndarray, int]:
    """Read a sound: (1, samples) float32 in [-1, 1], 16 kHz. Raises DataError if it is silent."""
    waveform, rate = read_wav(raw / source)
    if not waveform.any():
        raise DataError(f"{source}: silent from beginning to end", DOWNLOAD_HINT)
    return waveform, rate


def video(raw: Path, source: str, *, pick: Pick, frames: int, pick_seed: int) -> np.ndarray:
    """Read frames of a clip: (frames, H, W, 3) uint8, from the time in which it has sound.

    Raises DataError if the video cannot be decoded or a frame is black.
    """
    name = Path(source).stem
    # one published video runs on for a minute after its sound has ended
    waveform, rate = read_wav(raw / "AudioWAV" / f"{name}.wav")
    picked = read_frames(
        raw / source,
        pick=pick,
        frames=frames,
        pick_seed=pick_seed,
        name=name,
        seconds=waveform.shape[1] / rate,
    )
    if (picked.reshape(len(picked), -1).max(1) <= BLACK).any():
        raise DataError(f"{source}: a frame is black", DOWNLOAD_HINT)
    return picked


def _listed(raw: Path, names: Iterable[str], seed: int) -> dict[str, str]:
    """Return the splits of OGM-GE's lists, with validation drawn from training.

    Raises DataError if the lists do not fit the names.
    """
    splits: dict[str, str] = {}
    for split, path in LISTS.items():
        for name, emotion in _rows(raw / path):
            match = NAME.fullmatch(name)
            if match is None or match[3] != emotion or name in splits:
                raise DataError(
                    f"{raw / path}: {name},{emotion} is not a clip of its own", DOWNLOAD_HINT
                )
            splits[name] = split
    # a listed clip may lack its files, and is excluded; a file that is not listed has no split
    if unlisted := sorted(set(names) - set(splits)):
        raise DataError(
            f"{len(unlisted)} clips are in neither of OGM-GE's lists, the first is {unlisted[0]}",
            "take both lists from one place, or use another data.protocol",
        )
    training = {n: EMOTIONS.index(n.split("_")[2]) for n, s in splits.items() if s == "train"}
    for name in chosen(training, VALIDATION_SHARE, seed, "validation"):
        splits[name] = "validation"
    return dict(sorted(splits.items()))


def _rows(path: Path) -> list[tuple[str, str]]:
    """Return the rows of a list "<clip>,<emotion>" without a header. Raises DataError."""
    try:
        if path.stat().st_size > MAX_LIST_BYTES:
            raise DataError(f"{path} is longer than a list of OGM-GE", DOWNLOAD_HINT)
        # splitlines: one of the two lists ends its lines in CR LF; utf-8-sig: a byte order mark
        rows = list(csv.reader(path.read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"cannot read {path}: {error}", DOWNLOAD_HINT) from error
    for number, row in enumerate(rows, 1):
        if len(row) != 2:
            raise DataError(f"{path}:{number}: not a clip and its emotion", DOWNLOAD_HINT)
    return [(row[0], row[1]) for row in rows]


def _held_out(
    names: Iterable[str], part: int, counts: tuple[int, int], seed: int, purpose: str
) -> dict[str, str]:
    """Return splits that hold out whole actors (part 0 of a name) or sentences (part 1), by seed.

    counts: number of actors or sentences for test and for validation.
    """
    kinds = {name: name.split("_")[part] for name in names}
    order = seeded_order(set(kinds.values()), seed, purpose)
    if len(order) < 3:
        raise DataError(f"only {len(order)} to split: {', '.join(order)}", DOWNLOAD_HINT)
    # of a part of the data set the same shares are held out
    whole = 91 if part == 0 else 12
    test, validation = (max(1, round(count * len(order) / whole)) for count in counts)
    side = {
        kind: "test" if i < test else "validation" if i < test + validation else "train"
        for i, kind in enumerate(order)
    }
    return {name: side[kind] for name, kind in kinds.items()}
