"""Clips, of which a data set consists, and the manifest file that keeps them with their split."""

import json
from collections.abc import Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path

from pipelines.disk import store
from pipelines.errors import DataError
from pipelines.recipe.messages import show

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Clip:
    """One labelled audio-visual pair.

    id: unique in its data set. split: of SPLITS. label: class index. group: the recording that it
    was cut from, or what else must not be in two splits; "" if unknown. audio, visual: the source's
    name, which the data set's reading functions take; "" where the modality is absent.
    speaker: who speaks. start_s, end_s: where in `group` it was cut from. azimuth_deg: of the
    sound, in [0, 360), as the data set counts it. excluded: the reason why it is not used;
    such a clip stays in the manifest, and `read_clips` leaves it out.
    """

    id: str
    split: str
    label: int
    group: str
    audio: str
    visual: str
    speaker: str = ""
    start_s: float | None = None
    end_s: float | None = None
    azimuth_deg: float | None = None
    excluded: str = ""


TEXTS = ("id", "split", "group", "audio", "visual", "speaker", "excluded")
NUMBERS = {"start_s": (-1e12, 1e12), "end_s": (-1e12, 1e12), "azimuth_deg": (0, 360)}
OPTIONAL = {f.name: f.default for f in fields(Clip) if f.default is not MISSING}


def write_clips(path: Path, clips: Sequence[Clip]) -> None:
    """Write clips as JSON lines, published whole; fields at their default are left out."""
    rows = (
        {k: v for k, v in asdict(clip).items() if k not in OPTIONAL or v != OPTIONAL[k]}
        for clip in clips
    )
    lines = (json.dumps(row, ensure_ascii=False) for row in rows)
    store.publish_text(path, "".join(line + "\n" for line in lines))


def _lines(text: str) -> list[str]:
    # not str.splitlines, which also splits at U+2028 and U+0085: file names may hold those
    return text.removesuffix("\n").split("\n")


def _check(clip: Clip) -> None:
    """Raise ValueError or TypeError for a field with a value that no data set returns."""
    "".join(getattr(clip, name) for name in TEXTS).encode()  # a lone surrogate names no file
    if clip.split not in SPLITS:
        raise ValueError(f"split {show(clip.split)}")
    # not isinstance: true is an int to Python, and no label
    if type(clip.label) is not int or not 0 <= clip.label < 2**31:
        raise ValueError(f"label {show(clip.label)}")
    for name, (low, high) in NUMBERS.items():
        value = getattr(clip, name)
        # compared, not converted: JSON has integers that no float can hold
        if value is not None and (type(value) not in (int, float) or not low <= value < high):
            raise ValueError(f"{name} {show(value)}")


def read_clips(path: Path) -> list[Clip]:
    """Read the clips of a manifest that are not excluded.

    Raises DataError naming the line that is not a clip.
    """
    clips = []
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {path}: {error}", "run avsnn prepare again") from error
    for number, line in enumerate(_lines(text), 1):
        # a manifest may have been edited or damaged: each line is checked as if a stranger wrote it
        try:
            clip = Clip(**json.loads(line))
            _check(clip)
        except (ValueError, TypeError, RecursionError) as error:
            raise DataError(
                f"{path}:{number}: not a clip: {error}", "remove the file and run avsnn prepare"
            ) from error
        if not clip.excluded:
            clips.append(clip)
    return clips
