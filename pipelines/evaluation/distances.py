"""Cosine distances within and between classes: how far apart a network's embeddings lie.

SMLP Eq. 23: d(i, j) = 1 - f_i·f_j / (‖f_i‖ ‖f_j‖), 0 for one direction, 1 for orthogonal, 2 for
opposite ones. An embedding of zeros has no direction: its distance to every other is 1.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import DataError

Floats = NDArray[np.floating[Any]]
Labels = NDArray[np.integer[Any]]


def cosine_distances(embeddings: Floats) -> NDArray[np.float64]:
    """Return all distances of (N, F): (N, N) in 0 to 2, symmetric, 0 on the diagonal."""
    units = _units(embeddings)
    matrix: NDArray[np.float64] = np.clip(1 - units @ units.T, 0, 2)
    np.fill_diagonal(matrix, 0)
    return matrix


def distances(embeddings: Floats, labels: Labels, classes: int) -> dict[str, Any]:
    """Summarise the distances of all pairs of (N, F) by their labels (N,), as plain JSON.

    within, between: mean over the pairs of two different clips of one class, and of two classes;
    each pair counts once, so large classes count more. ratio: within / between. silhouette: mean
    over the clips, -1 to 1 (Rousseeuw 1987), a clip alone in its class counts 0. by_class:
    (classes, classes), the mean over the pairs of each two. Whatever has no pair is None.
    Exact, from sums over classes, without the N x N matrix. Raises DataError if not finite.
    """
    groups = [_units(embeddings[labels == c]) for c in range(classes)]
    sizes = np.array([len(group) for group in groups])
    sums = np.stack([group.sum(0) for group in groups])
    # a unit vector has cosine 1 with itself, zeros have 0: pairs of a clip with itself are no pairs
    selves = np.array([float((group**2).sum()) for group in groups])
    similarity = sums @ sums.T - np.diag(selves)
    pairs = np.outer(sizes, sizes) - np.diag(sizes)
    own = np.eye(classes, dtype=bool)
    within, between = (_mean(similarity[which], pairs[which]) for which in (own, ~own))
    return {
        "within": within,
        "between": between,
        "ratio": within / between if within is not None and between else None,
        "silhouette": _silhouette(groups, sizes, sums),
        "by_class": [
            [_mean(s, p) for s, p in zip(*rows, strict=True)]
            for rows in zip(similarity, pairs, strict=True)
        ],
    }


def sorted_by_class(labels: Labels, limit: int, seed: int) -> NDArray[np.int64]:
    """Choose at most `limit` clips, drawn by seed, and order them by class, then as they stood."""
    chosen = np.arange(len(labels))
    if len(labels) > limit:
        chosen = np.sort(np.random.default_rng(seed).choice(len(labels), limit, replace=False))
    return chosen[np.argsort(labels[chosen], kind="stable")]


def _units(embeddings: Floats) -> NDArray[np.float64]:
    """Bring each of (N, F) to length 1; zeros stay."""
    x = np.asarray(embeddings, dtype=np.float64)
    if not np.isfinite(x).all():
        raise DataError(
            "the network's embeddings are not finite", "train it again, with another lr"
        )
    # by the largest value first: the square of a small one would be 0
    x = x / _or_one(np.abs(x).max(axis=1, keepdims=True, initial=0))
    return np.asarray(x / _or_one(np.linalg.norm(x, axis=1, keepdims=True)))


def _or_one(x: Floats) -> Floats:
    return np.where(x > 0, x, 1)


def _mean(similarities: Any, pairs: Any) -> float | None:
    count = int(np.sum(pairs))
    return float(np.clip(1 - np.sum(similarities) / count, 0, 2)) if count else None


def _silhouette(
    groups: list[NDArray[np.float64]], sizes: NDArray[np.int64], sums: NDArray[np.float64]
) -> float | None:
    """Mean of (b - a) / max(a, b); a, b: mean distance to one's own and to the nearest class."""
    filled = np.flatnonzero(sizes)
    if len(filled) < 2:
        return None
    total = 0.0
    for c in filled:
        if sizes[c] == 1:
            continue
        to_class = 1 - groups[c] @ sums[filled].T / sizes[filled]
        mine = filled == c
        # 1 - |u|², the distance to oneself, which is 1 for zeros, is not one of the pairs
        selves = 1 - (groups[c] ** 2).sum(1)
        a = np.clip((to_class[:, mine][:, 0] * sizes[c] - selves) / (sizes[c] - 1), 0, 2)
        b = to_class[:, ~mine].min(1)
        larger = np.maximum(a, b)
        total += float(np.divide(b - a, larger, out=np.zeros_like(a), where=larger > 0).sum())
    return total / int(sizes.sum())
