"""Clips: what a dataset is made of, and the manifest file that persists them with their split."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pipelines import store
from pipelines.errors import DataError

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Clip:
    """One labelled audio-visual pair.

    id: unique in its dataset. split: of SPLITS. label: class index. group: what must not be on
    two sides of a split (a recording, a speaker). audio, visual: the source's name, which the
    dataset's `audio` and `image` functions understand; "" where the modality is absent.
    """

    id: str
    split: str
    label: int
    group: str
    audio: str
    visual: str


def write_clips(path: Path, clips: Sequence[Clip]) -> None:
    """Publish clips as JSON lines."""
    lines = (json.dumps(asdict(clip), ensure_ascii=False) for clip in clips)
    store.publish_text(path, "".join(line + "\n" for line in lines))


def read_clips(path: Path) -> list[Clip]:
    """Read a manifest. Raises DataError naming the line that is not a clip."""
    clips = []
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {path}: {error}", "run avsnn prepare again") from error
    for number, line in enumerate(text.splitlines(), 1):
        try:
            clip = Clip(**json.loads(line))
            if clip.split not in SPLITS or not isinstance(clip.label, int):
                raise ValueError(f"split {clip.split!r}, label {clip.label!r}")
        except (ValueError, TypeError) as error:
            raise DataError(
                f"{path}:{number}: not a clip: {error}", "remove the file and run avsnn prepare"
            ) from error
        clips.append(clip)
    return clips


def shared_sources(clips: Sequence[Clip]) -> dict[str, int]:
    """Count what stands in more than one split: audio sources, images and groups."""
    found = {}
    for field in ("audio", "visual", "group"):
        sides: dict[str, set[str]] = {}
        for clip in clips:
            if value := getattr(clip, field):
                sides.setdefault(value, set()).add(clip.split)
        found[field] = sum(len(splits) > 1 for splits in sides.values())
    return found
