"""The leak audit: count the test clips that share something with the clips learned from.

Clips of the training and of the validation split are learned from: validation selects the weights.
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
    are compared within one group. "without_group": number of test clips whose recording is unknown,
    or of all test clips if that of every training clip is unknown; left out if 0.
    """
    test = [clip for clip in clips if clip.split == "test"]
    learned = [clip for clip in clips if clip.split != "test"]
    shared, values = {}, {}
    for field in FIELDS:
        learned_values = {getattr(clip, field) for clip in learned} - {""}
        hits = [getattr(clip, field) for clip in test if getattr(clip, field) in learned_values]
        if learned_values:
            shared[field], values[field] = len(hits), len(set(hits))
    counts: dict[str, Any] = {"test": len(test), "shared": shared, "values_shared": values}
    nameless = [clip for clip in test if not clip.group]
    if unknown := len(nameless if any(clip.group for clip in learned) else test):
        counts["without_group"] = unknown
    if any(clip.start_s is not None for clip in clips):
        counts["overlapping_in_time"] = _overlapping(test, learned)
    return counts


def _overlapping(test: Sequence[Clip], learned: Sequence[Clip]) -> int:
    """Count the test clips whose time span overlaps that of a learned clip of the same group."""
    spans: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for clip in learned:
        if clip.start_s is not None and clip.end_s is not None:
            spans[clip.group].append((clip.start_s, clip.end_s))
    # latest_end[group][i]: the latest end of the first i + 1 spans in order of their beginnings, so
    # that one search answers for all spans that begin before a test clip ends
    latest_end: dict[str, list[float]] = {}
    for group, group_spans in spans.items():
        group_spans.sort()
        ends: list[float] = []
        for _, end in group_spans:
            ends.append(max(end, ends[-1]) if ends else end)
        latest_end[group] = ends
    count = 0
    for clip in test:
        if clip.start_s is None or clip.end_s is None or clip.group not in spans:
            continue
        # two spans overlap if each begins before the other ends; a 1-tuple sorts before its pairs,
        # so spans that begin exactly at the end are not counted
        before = bisect_left(spans[clip.group], (clip.end_s,))
        count += before > 0 and latest_end[clip.group][before - 1] > clip.start_s
    return count


def sentences(audited: dict[str, Any], groups_from: str = "") -> list[str]:
    """Return an audit as lines for people, one for each kind of leak, with its share.

    audited: what `audit` returns. groups_from: how the user can name the recordings, if the data
    set has a setting for it.
    """
    n = audited["test"]
    lines = []
    if unknown := audited.get("without_group", 0):
        lines.append(
            f"leak audit: not known whether {unknown} of {n} test clips share a recording with "
            f"training: {groups_from or 'the data set does not name the recordings'}"
        )
    lines += [
        f"leak audit: {count} of {n} test clips ({count / n:.1%}) share "
        f"{_plural(audited['values_shared'][field], FIELDS[field])} with training"
        for field, count in audited["shared"].items()
    ]
    if "overlapping_in_time" in audited:
        count = audited["overlapping_in_time"]
        lines.append(
            f"leak audit: {count} of {n} test clips ({count / n:.1%}) overlap in time with a "
            "training clip of the same recording"
        )
    return lines


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
