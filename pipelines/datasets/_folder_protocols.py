"""Split the user's clips into training, validation and test, and report which split was taken."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from pipelines.clips.protocols import chosen, chosen_groups
from pipelines.datasets._folder_files import Entry
from pipelines.datasets._folder_splits import split_of
from pipelines.errors import DataError

Protocol = Literal["auto", "random", "grouped", "given"]
ANEW = "set data.protocol to random or grouped to split all clips anew"


def sides(
    entries: Sequence[Entry],
    protocol: Protocol,
    known: Mapping[str, str],
    labels: Mapping[str, int],
    *,
    test_share: float,
    validation_share: float,
    seed: int,
    raw: Path,
    is_table: bool,
) -> dict[str, str]:
    """Return the split of each clip by its name.

    known: its group by name, "" if unknown; such a clip is a group of its own. labels: by name.
    Raises DataError for data that do not fit the protocol.
    """
    groups = {name: group or name for name, group in known.items()}
    taken = taken_of(entries, protocol)
    if protocol in ("auto", "given") and not is_table and (below := _below_classes(entries)):
        raise DataError(
            f"{raw}: split folders lie below the class folders, such as {below[0]}",
            f"put them above (train/dog/…), or {ANEW}",
        )
    if taken == "given":
        return _brought(entries, groups, labels, validation_share, seed)
    if taken == "grouped" and len(set(groups.values())) == len(groups):
        raise DataError(
            f"{raw}: every clip is a group of its own",
            "give the table a column group, or set data.group_pattern",
        )
    # excluded clips would use up part of a share
    usable = [e.name for e in entries if not e.fault]
    whole = groups if taken == "grouped" else None
    test = _chosen(usable, whole, labels, test_share, seed, "test")
    rest = [name for name in usable if name not in test]
    validation = _chosen(rest, whole, labels, validation_share, seed, "validation")
    splits = dict.fromkeys(rest, "train") | dict.fromkeys(validation, "validation")
    return splits | dict.fromkeys(test, "test")


def taken_of(entries: Sequence[Entry], protocol: Protocol) -> Protocol:
    """Return the protocol that "auto" stands for: given if the data bring a split, else random."""
    if protocol != "auto":
        return protocol
    return "given" if any(entry.split for entry in entries) else "random"


def remarks(entries: Sequence[Entry], protocol: Protocol, table: Path | None) -> list[str]:
    """Return lines on the split that auto takes, and on a split of the data that is not used."""
    brought = any(entry.split for entry in entries)
    if table is not None:
        where = f"the column split of {table.name}"
        unread = "" if brought else _named_in_paths(entries)
    else:
        tops = sorted({(e.audio or e.visual).split("/")[0] for e in entries}) if brought else []
        where = f"the folders {', '.join(tops)}"
        unread = ", ".join(_below_classes(entries)[:1])
    lines = []
    if protocol in ("random", "grouped") and brought:
        lines.append(
            f"notice: the data bring a split ({where}), which is not used: data.protocol is "
            f"{protocol}; auto takes it"
        )
    if unread:
        lines.append(f"notice: a path names a split ({unread}), which is not used")
    if protocol == "auto" and brought:
        lines.append(f"split: given by {where}")
    elif protocol == "auto":
        lines.append("split: random, by data.seed; the data have no split of their own")
    return lines


def _below_classes(entries: Sequence[Entry]) -> list[str]:
    """Return the folders below class folders that are named like splits, such as dog/train."""
    below = set()
    for entry in entries:
        skipped = 2 if entry.split else 1  # the folders of the split, if any, and of the class
        folders = entry.name.split("/")[:-1]
        places = range(skipped, len(folders))
        below |= {"/".join(folders[: i + 1]) for i in places if split_of(folders[i])}
    return sorted(below)


def _named_in_paths(entries: Sequence[Entry]) -> str:
    """Return the first path of a table with a folder that is named like a split, "" if none."""
    for entry in entries:
        path = entry.audio or entry.visual
        if any(map(split_of, path.split("/")[:-1])):
            return path
    return ""


def _brought(
    entries: Sequence[Entry],
    groups: Mapping[str, str],
    labels: Mapping[str, int],
    share: float,
    seed: int,
) -> dict[str, str]:
    """Return the splits that folders or the table give.

    Validation is drawn from training if the data have none. Raises DataError for clips without a
    split, and for data without a training or test split.
    """
    splits = {entry.name: entry.split for entry in entries}
    if without := [name for name, split in splits.items() if not split]:
        raise DataError(
            f"{len(without)} clips have no split, the first is {without[0]}",
            "folders train/ and test/, or a column split; or another data.protocol",
        )
    if lacking := [name for name in ("train", "test") if name not in splits.values()]:
        raise DataError(
            f"the split that the data bring has no clips for {' and '.join(lacking)}",
            f"name some, or {ANEW}",
        )
    if "validation" not in splits.values():
        training = [e.name for e in entries if e.split == "train" and not e.fault]
        # groups only if some clips share one: otherwise draw clips, so that each class has some
        whole = groups if len(set(groups.values())) < len(groups) else None
        for name in _chosen(training, whole, labels, share, seed, "validation"):
            splits[name] = "validation"
    return splits


def _chosen(
    names: Sequence[str],
    groups: Mapping[str, str] | None,
    labels: Mapping[str, int],
    share: float,
    seed: int,
    purpose: str,
) -> set[str]:
    """Return the clips chosen: of whole groups, or without groups at least one of each class."""
    own = {name: labels[name] for name in names}
    if groups is not None:
        return chosen_groups({name: groups[name] for name in names}, own, share, seed, purpose)
    picked = chosen(own, share, seed, purpose)
    # a small class whose share rounds to none still needs a clip to validate or test on
    for label in set(own.values()) - {own[name] for name in picked}:
        of_class = {name: label for name in names if own[name] == label}
        picked |= set(sorted(chosen(of_class, 1.0, seed, purpose))[:1])
    return picked
