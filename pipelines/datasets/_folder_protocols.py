"""Which of the user's clips are for training, validation and testing, and what is said of it."""

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
    found: Sequence[Entry],
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
    """Return the split of each clip by its name. known: its group, "" where nothing says one."""
    groups = {name: group or name for name, group in known.items()}
    taken = taken_of(found, protocol)
    if protocol in ("auto", "given") and not is_table and (below := _below_classes(found)):
        raise DataError(
            f"{raw}: splits stand below the classes, such as {below[0]}",
            f"put them above (train/dog/…), or {ANEW}",
        )
    if taken == "given":
        return _given(found, groups, labels, validation_share, seed)
    if taken == "grouped" and len(set(groups.values())) == len(groups):
        raise DataError(
            f"{raw}: every clip is a group of its own",
            "give the table a column group, or set data.group_pattern",
        )
    usable = [e.name for e in found if not e.fault]
    whole = groups if taken == "grouped" else None
    test = _chosen(usable, whole, labels, test_share, seed, "test")
    rest = [name for name in usable if name not in test]
    validation = _chosen(rest, whole, labels, validation_share, seed, "validation")
    splits = dict.fromkeys(rest, "train") | dict.fromkeys(validation, "validation")
    return splits | dict.fromkeys(test, "test")


def taken_of(found: Sequence[Entry], protocol: Protocol) -> Protocol:
    """Return what "auto" stands for: the split that the data bring, else a random one."""
    if protocol != "auto":
        return protocol
    return "given" if any(entry.split for entry in found) else "random"


def remarks(found: Sequence[Entry], protocol: Protocol, table: Path | None) -> list[str]:
    """Say which split auto takes, and which split of the data is not used."""
    brought = any(entry.split for entry in found)
    if table is not None:
        where = f"the column split of {table.name}"
        unread = "" if brought else _named_in_paths(found)
    else:
        tops = sorted({(e.audio or e.visual).split("/")[0] for e in found}) if brought else []
        where = f"the folders {', '.join(tops)}"
        unread = ", ".join(_below_classes(found)[:1])
    said = []
    if protocol in ("random", "grouped") and brought:
        said.append(
            f"notice: the data bring a split ({where}), which is not used: data.protocol is "
            f"{protocol}; auto takes it"
        )
    if unread:
        said.append(f"notice: a path names a split ({unread}), which is not used")
    if protocol == "auto" and brought:
        said.append(f"split: given by {where}")
    elif protocol == "auto":
        said.append("split: random, by data.seed, for the data bring none")
    return said


def _below_classes(found: Sequence[Entry]) -> list[str]:
    """List the folders below class folders that are called as splits are, such as dog/train."""
    below = set()
    for entry in found:
        skipped = 2 if entry.split else 1  # a split of its own, and the class
        folders = entry.name.split("/")[:-1]
        places = range(skipped, len(folders))
        below |= {"/".join(folders[: i + 1]) for i in places if split_of(folders[i])}
    return sorted(below)


def _named_in_paths(found: Sequence[Entry]) -> str:
    """Return the first path of a table with a folder that is called as a split is, "" if none."""
    for entry in found:
        path = entry.audio or entry.visual
        if any(map(split_of, path.split("/")[:-1])):
            return path
    return ""


def _given(
    found: Sequence[Entry],
    groups: Mapping[str, str],
    labels: Mapping[str, int],
    share: float,
    seed: int,
) -> dict[str, str]:
    """Take the splits that folders or the table give; validation from training where none is."""
    splits = {entry.name: entry.split for entry in found}
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
        training = [e.name for e in found if e.split == "train" and not e.fault]
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
    """Choose clips, or whole groups; at least one clip of each class where clips are chosen."""
    own = {name: labels[name] for name in names}
    if groups is not None:
        return chosen_groups({name: groups[name] for name in names}, own, share, seed, purpose)
    found = chosen(own, share, seed, purpose)
    for label in set(own.values()) - {own[name] for name in found}:
        of_class = {name: label for name in names if own[name] == label}
        found |= set(sorted(chosen(of_class, 1.0, seed, purpose))[:1])
    return found
