"""The classes of a recipe's data and how many clips each split has of them. Imports no torch."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.cells import cell_len, set_cell_size

from pipelines.cache.receipts import clips_of, clips_receipt, excluded
from pipelines.clips.clips import SPLITS, Clip
from pipelines.errors import DataError
from pipelines.plan.data_plan import CachePlan, DataPlan
from pipelines.recipe.messages import printable

SHOWN = 20
WIDTH = 80
STAMP = 20  # characters that a reporter may put before a line

Row = dict[str, Any]


def usable(clips: Sequence[Clip], caches: Mapping[str, CachePlan]) -> list[Clip]:
    """Return the clips whose sources could all be used. caches: by modality, whole."""
    left_out = {modality: excluded(cache) for modality, cache in caches.items()}
    return [
        clip
        for clip in clips
        if not any(getattr(clip, modality) in found for modality, found in left_out.items())
    ]


def of_plan(plan: DataPlan) -> list[Row]:
    """Count what was prepared: a row a class, in the order of the labels.

    Raises DataError if training has no clip of a class: a network cannot have learned it.
    """
    return of_clips(usable(clips_of(plan), plan.caches), plan.manifest.classes)


def of_clips(clips: Sequence[Clip], classes: Sequence[str]) -> list[Row]:
    """Count clips by class and split; see of_plan."""
    found = Counter((clip.label, clip.split) for clip in clips)
    rows: list[Row] = [
        {"class": name, **{split: found[label, split] for split in SPLITS}}
        for label, name in enumerate(classes)
    ]
    if unlearned := [row for row in rows if not row["train"]]:
        said = ", ".join(
            f"{printable(row['class'])} (validation {row['validation']}, test {row['test']})"
            for row in unlearned[:SHOWN]
        )
        more = f" and {len(unlearned) - SHOWN} more" if len(unlearned) > SHOWN else ""
        raise DataError(
            f"no clip for training of class {said}{more}",
            "give training clips of it, take the class out, or split otherwise",
        )
    return rows


def remarks(plan: DataPlan) -> list[str]:
    """Return what the data set said of its files and its split when the clips were made."""
    return clips_receipt(plan.clips).remarks


def lines(rows: Sequence[Row]) -> list[str]:
    """Lay the counts out in lines of at most 80 columns with a time before them.

    Of many classes those with the fewest clips are shown, where a fault is likeliest to be.
    """
    totals = {"class": f"all {len(rows)}", **{s: sum(row[s] for row in rows) for s in SPLITS}}
    shown = list(rows)
    said = []
    if len(rows) > SHOWN:
        fewest = sorted(rows, key=lambda row: sum(row[split] for split in SPLITS))[:SHOWN]
        shown = [row for row in rows if any(row is other for other in fewest)]
        said = [f"the {SHOWN} classes with the fewest clips; prepare --json has all"]
    numbers = {s: max(len(s), len(str(totals[s]))) for s in SPLITS}
    room = WIDTH - STAMP - sum(2 + width for width in numbers.values())
    names = [_short(row["class"], room) for row in (*shown, totals)]
    width = max(map(cell_len, ["class", *names]))
    head = "".join(f"  {split:>{n}}" for split, n in numbers.items())
    body = [
        set_cell_size(name, width) + "".join(f"  {row[s]:>{n}}" for s, n in numbers.items())
        for name, row in zip(names, (*shown, totals), strict=True)
    ]
    return [f"{'class':{width}}{head}", *body, *said]


def _short(name: str, room: int) -> str:
    """Shorten a name in its middle, for the ends of long names tell them apart."""
    name = printable(name)
    if cell_len(name) <= room:
        return name
    tail = room // 2
    end = name[-tail:]
    while cell_len(end) > tail:
        end = end[1:]
    return set_cell_size(name, room - cell_len(end) - 1).rstrip() + "…" + end
