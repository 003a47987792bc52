"""Choose test and validation clips, the same on every machine and in whatever order they come.

The order is by a hash of (seed, purpose, name), not by a generator: it depends on no library's
version and on no folder's order, and a clip more or less leaves the others where they are.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

__all__ = ["chosen", "chosen_groups", "seeded_order"]

ENOUGH = 3  # one for training, one for validation, one for test


def seeded_order(names: Iterable[str], seed: int, purpose: str) -> list[str]:
    """Return names shuffled by a seed. purpose: a word that separates two choices of one seed."""
    prefix = f"{seed}/{purpose}/".encode()
    return sorted(names, key=lambda name: (hashlib.sha256(prefix + name.encode()).digest(), name))


def chosen(labels: Mapping[str, int], share: float, seed: int, purpose: str) -> set[str]:
    """Return a share of the clips of each class, rounded to whole clips. labels: by clip.

    At least one of a class is chosen if it has enough clips for three splits.
    """
    by_class = defaultdict(list)
    for name, label in labels.items():
        by_class[label].append(name)
    names_chosen: set[str] = set()
    for names in by_class.values():
        count = max(round(share * len(names)), int(share > 0 and len(names) >= ENOUGH))
        names_chosen.update(seeded_order(names, seed, purpose)[:count])
    return names_chosen


def chosen_groups(
    groups: Mapping[str, str], labels: Mapping[str, int], share: float, seed: int, purpose: str
) -> set[str]:
    """Return the clips of whole groups, about a share of each class.

    groups, labels: by clip. A group counts for the class that most of its clips have. Groups are
    taken in seeded order, but for those that would overshoot the share by more than it falls short
    without them; the first is always taken if the class has enough groups for three splits.
    """
    members = defaultdict(list)
    for name, group in groups.items():
        members[group].append(name)
    by_class = defaultdict(list)
    for group, names in members.items():
        counts = Counter(labels[name] for name in names)
        # ties go to the smaller label, not to the order in which clips were counted
        by_class[min(counts, key=lambda label: (-counts[label], label))].append(group)
    clips_chosen: set[str] = set()
    for of_class in by_class.values():
        target = share * sum(len(members[group]) for group in of_class)
        taken = 0
        for group in seeded_order(of_class, seed, purpose):
            # a later, smaller group may still fit: go on after one that does not
            size = len(members[group])
            is_first = share > 0 and not taken and len(of_class) >= ENOUGH
            if is_first or taken + size - target <= target - taken:
                clips_chosen.update(members[group])
                taken += size
    return clips_chosen
