"""The leak audit: what the test clips share with those that a network learned from.

A clip is learned from if it is in the training or the validation split, for validation selects.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from pipelines.clips.clips import Clip

FIELDS = {
    "group": "group",
    "speaker": "speaker",
    "audio": "audio source",
    "visual": "visual source",
}


def audit(clips: Sequence[Clip]) -> dict[str, Any]:
    """Count the test clips that share something with the clips learned from.

    Returns {"test": n, "shared": {field: test clips}, "overlapping_in_time": test clips,
    "values_shared": {field: distinct values}}. Fields that no clip has are left out; time spans
    count within one group. "without_group": the test clips of which nothing says the recording, or
    all of them where nothing says that of the training clips; left out where that is none.
    """
    test = [clip for clip in clips if clip.split == "test"]
    learned = [clip for clip in clips if clip.split != "test"]
    shared, values = {}, {}
    for field in FIELDS:
        seen = {getattr(clip, field) for clip in learned} - {""}
        hits = [getattr(clip, field) for clip in test if getattr(clip, field) in seen]
        if seen:
            shared[field], values[field] = len(hits), len(set(hits))
    found: dict[str, Any] = {"test": len(test), "shared": shared, "values_shared": values}
    nameless = [clip for clip in test if not clip.group]
    if unknown := len(nameless if any(clip.group for clip in learned) else test):
        found["without_group"] = unknown
    if any(clip.start_s is not None for clip in clips):
        found["overlapping_in_time"] = _overlapping(test, learned)
    return found


def _overlapping(test: Sequence[Clip], learned: Sequence[Clip]) -> int:
    """Count the test clips whose time span overlaps that of a learned clip of the same group."""
    spans: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for clip in learned:
        if clip.start_s is not None and clip.end_s is not None:
            spans[clip.group].append((clip.start_s, clip.end_s))
    latest_end: dict[str, list[float]] = {}
    for group, found in spans.items():
        found.sort()
        ends: list[float] = []
        for _, end in found:
            ends.append(max(end, ends[-1]) if ends else end)
        latest_end[group] = ends
    count = 0
    for clip in test:
        if clip.start_s is None or clip.end_s is None or clip.group not in spans:
            continue
        # the spans that begin before this one ends; does any of them end after it begins?
        before = bisect_left(spans[clip.group], (clip.end_s,))
        count += before > 0 and latest_end[clip.group][before - 1] > clip.start_s
    return count


def sentences(found: dict[str, Any], groups_from: str = "") -> list[str]:
    """Say an audit in lines for people, one for each kind of leak, with its share.

    groups_from: the settings that tell which clips are of one recording, if the data set has any.
    """
    n = found["test"]
    lines = []
    if unknown := found.get("without_group", 0):
        lines.append(
            f"leak audit: not known whether {unknown} of {n} test clips share a recording with "
            f"training: {groups_from or 'the data set does not say it'}"
        )
    lines += [
        f"leak audit: {count} of {n} test clips ({count / n:.1%}) share "
        f"{_plural(found['values_shared'][field], FIELDS[field])} with training"
        for field, count in found["shared"].items()
    ]
    if "overlapping_in_time" in found:
        count = found["overlapping_in_time"]
        lines.append(
            f"leak audit: {count} of {n} test clips ({count / n:.1%}) overlap in time with a "
            "training clip of the same recording"
        )
    return lines


def _plural(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
