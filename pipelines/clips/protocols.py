"""Choosing test and validation clips: the same choice on every machine, in whatever order asked.

The order is by a hash of (seed, purpose, name), not by a generator: it depends on no library's
version and on no folder's order, and a clip more or less leaves the others where they are.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

__all__ = ["chosen", "chosen_groups", "seeded_order"]

ENOUGH = 3  # one for training, one for validation, one for test


def seeded_order(names: Iterable[str], seed: int, purpose: str) -> list[str]:
    """Shuffle names by a seed. purpose: a word that keeps two choices of one seed apart."""
    prefix = f"{seed}/{purpose}/".encode()
    return sorted(names, key=lambda name: (hashlib.sha256(prefix + name.encode()).digest(), name))


def chosen(labels: Mapping[str, int], share: float, seed: int, purpose: str) -> set[str]:
    """Choose a share of the clips of each class, rounded to whole clips. labels: by clip.

    At least one, where the class has enough for three sides.
    """
    by_class = defaultdict(list)
    for name, label in labels.items():
        by_class[label].append(name)
    found: set[str] = set()
    for names in by_class.values():
        count = max(round(share * len(names)), int(share > 0 and len(names) >= ENOUGH))
        found.update(seeded_order(names, seed, purpose)[:count])
    return found


def chosen_groups(
    groups: Mapping[str, str], labels: Mapping[str, int], share: float, seed: int, purpose: str
) -> set[str]:
    """Choose whole groups until about a share of each class is chosen; returns the clips.

    groups, labels: by clip. A group counts for the class that most of its clips have. Groups come
    in seeded order, and one that would overshoot more than stopping falls short is left out; but
    the first is taken where the class has groups enough for three sides.
    """
    members = defaultdict(list)
    for name, group in groups.items():
        members[group].append(name)
    by_class = defaultdict(list)
    for group, names in members.items():
        counts = Counter(labels[name] for name in names)
        by_class[min(counts, key=lambda label: (-counts[label], label))].append(group)
    found: set[str] = set()
    for of_class in by_class.values():
        wanted = share * sum(len(members[group]) for group in of_class)
        taken = 0
        for group in seeded_order(of_class, seed, purpose):
            size = len(members[group])
            is_first = share > 0 and not taken and len(of_class) >= ENOUGH
            if is_first or taken + size - wanted <= wanted - taken:
                found.update(members[group])
                taken += size
    return found
