"""Count the clips of each class in each split of a recipe's data. Imports no torch."""

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

Row = dict[str, Any]  # the name of a class, and its number of clips in each split


def usable(clips: Sequence[Clip], caches: Mapping[str, CachePlan]) -> list[Clip]:
    """Return the clips whose sources could all be used. caches: by modality, whole."""
    left_out = {modality: excluded(cache) for modality, cache in caches.items()}
    return [
        clip
        for clip in clips
        if not any(getattr(clip, modality) in names for modality, names in left_out.items())
    ]


def of_plan(plan: DataPlan) -> list[Row]:
    """Count what was prepared: a row a class, in the order of the labels.

    Raises DataError if training has no clip of a class: a network cannot have learned it.
    """
    return of_clips(usable(clips_of(plan), plan.caches), plan.manifest.classes)


def of_clips(clips: Sequence[Clip], classes: Sequence[str]) -> list[Row]:
    """Count clips by class and split; see of_plan."""
    counts = Counter((clip.label, clip.split) for clip in clips)
    rows: list[Row] = [
        {"class": name, **{split: counts[label, split] for split in SPLITS}}
        for label, name in enumerate(classes)
    ]
    if unlearned := [row for row in rows if not row["train"]]:
        classes_text = ", ".join(
            f"{printable(row['class'])} (validation {row['validation']}, test {row['test']})"
            for row in unlearned[:SHOWN]
        )
        more = f" and {len(unlearned) - SHOWN} more" if len(unlearned) > SHOWN else ""
        raise DataError(
            f"no clip for training of class {classes_text}{more}",
            "give training clips of it, take the class out, or split otherwise",
        )
    return rows


def remarks(plan: DataPlan) -> list[str]:
    """Return the remarks that the data set made on its files and its split, from the receipt."""
    return clips_receipt(plan.clips).remarks


def lines(rows: Sequence[Row]) -> list[str]:
    """Return the counts as lines of a table that fits 80 columns behind a time stamp.

    Of more than SHOWN classes those with the fewest clips are listed, where faults are likeliest.
    """
    totals = {"class": f"all {len(rows)}", **{s: sum(row[s] for row in rows) for s in SPLITS}}
    shown = list(rows)
    footer = []
    if len(rows) > SHOWN:
        fewest = sorted(rows, key=lambda row: sum(row[split] for split in SPLITS))[:SHOWN]
        # by identity, and in the order of the labels: two classes may have equal counts
        shown = [row for row in rows if any(row is few for few in fewest)]
        footer = [f"the {SHOWN} classes with the fewest clips; prepare --json has all"]
    numbers = {s: max(len(s), len(str(totals[s]))) for s in SPLITS}
    room = WIDTH - STAMP - sum(2 + width for width in numbers.values())
    names = [_short(row["class"], room) for row in (*shown, totals)]
    # in cells of a terminal, not letters: a Chinese letter takes two
    width = max(map(cell_len, ["class", *names]))
    head = "".join(f"  {split:>{n}}" for split, n in numbers.items())
    body = [
        set_cell_size(name, width) + "".join(f"  {row[s]:>{n}}" for s, n in numbers.items())
        for name, row in zip(names, (*shown, totals), strict=True)
    ]
    return [f"{'class':{width}}{head}", *body, *footer]


def _short(name: str, room: int) -> str:
    """Shorten a name in its middle: long names of one data set often differ at their end only."""
    name = printable(name)
    if cell_len(name) <= room:
        return name
    tail = room // 2
    end = name[-tail:]
    while cell_len(end) > tail:
        end = end[1:]
    return set_cell_size(name, room - cell_len(end) - 1).rstrip() + "…" + end
