"""Accuracy, confusion, confidence intervals and tests, from predictions.

Accuracies are fractions in 0..1. An undefined value, such as the recall of a class without samples,
is None and not NaN, so that every result is valid JSON.
"""

import math
import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def wilson_interval(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the score interval (low, high) of a proportion (Wilson 1927, JASA 22:209-212).

    With z the normal quantile: (p + z²/2n ± z·sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n).
    Raises ValueError where n is 0, successes lie outside 0..n or confidence outside (0, 1).
    """
    # not scipy.stats.binomtest: every reading of a result checks its intervals by this function,
    # and the import would make `avsnn ls runs` several times slower; tests hold the two together
    if n <= 0:
        raise ValueError(f"an interval needs at least one sample, got n={n}")
    if not 0 <= successes <= n:
        raise ValueError(f"successes must lie in 0..{n}, got {successes}")
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence must lie between 0 and 1, got {confidence}")
    p = successes / n
    z = statistics.NormalDist().inv_cdf(0.5 + confidence / 2)
    centre = p + z * z / (2 * n)
    half_width = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    # with no hit, or no miss, the end is exactly 0 or 1, which rounding may miss
    low = 0.0 if successes == 0 else (centre - half_width) / scale
    high = 1.0 if successes == n else (centre + half_width) / scale
    return low, high


def confusion_matrix(labels: ArrayLike, predictions: ArrayLike, classes: int) -> NDArray[np.int64]:
    """Count samples by true and predicted class.

    labels, predictions: (N,) integers in 0..classes-1. Returns (true, predicted) int64.
    Raises ValueError on unequal lengths, numbers that are no integers, or an unknown class.
    """
    true, predicted = (
        _indices(labels, "labels", classes),
        _indices(predictions, "predictions", classes),
    )
    if len(true) != len(predicted):
        raise ValueError(f"{len(true)} labels but {len(predicted)} predictions")
    # cell (true, predicted) of the matrix has the number true * classes + predicted
    counts = np.bincount(true * classes + predicted, minlength=classes * classes)
    return counts.astype(np.int64).reshape(classes, classes)


def per_class(confusion: ArrayLike, names: Sequence[str]) -> list[dict[str, Any]]:
    """List n, recall, precision, F1 and the 95 % Wilson interval of the recall of each class.

    confusion: (true, predicted) counts; names: one a class. F1 = 2TP / (2TP + FP + FN). A value
    with nothing to divide by is None. Raises ValueError where the shape does not fit the names.
    """
    counts = np.asarray(confusion)
    if counts.shape != (len(names), len(names)):
        raise ValueError(f"confusion of shape {counts.shape} does not fit {len(names)} class names")
    rows = []
    for k, name in enumerate(names):
        hits, n, predicted = int(counts[k, k]), int(counts[k].sum()), int(counts[:, k].sum())
        rows.append(
            {
                "class": name,
                "n": n,
                "recall": _ratio(hits, n),
                "precision": _ratio(hits, predicted),
                "f1": _ratio(2 * hits, n + predicted),
                "wilson": list(wilson_interval(hits, n)) if n else None,
            }
        )
    return rows


def summary(
    labels: ArrayLike, predictions: ArrayLike, class_names: Sequence[str]
) -> dict[str, Any]:
    """Return the figures of one test set that eval.json holds, in plain JSON types.

    labels, predictions: (N,) integers. Balanced accuracy is the mean recall over the classes that
    have samples. Raises ValueError where there is no sample, and as confusion_matrix does.
    """
    confusion = confusion_matrix(labels, predictions, len(class_names))
    n, correct = int(confusion.sum()), int(np.trace(confusion))
    if n == 0:
        raise ValueError("no samples to evaluate")
    classes = per_class(confusion, class_names)
    return {
        "accuracy": correct / n,
        "n": n,
        "correct": correct,
        "wilson": list(wilson_interval(correct, n)),
        "balanced_accuracy": statistics.fmean(row["recall"] for row in classes if row["n"]),
        "per_class": classes,
        "confusion": confusion.tolist(),
    }


def mean_sd(values: Sequence[float]) -> tuple[float, float | None]:
    """Return the mean and the sample standard deviation (n - 1), None for a single value.

    Raises ValueError for no value or one that is not finite.
    """
    numbers = [float(value) for value in values]
    if not numbers:
        raise ValueError("no values to average")
    if not all(math.isfinite(number) for number in numbers):
        raise ValueError(f"values must be finite, got {numbers}")
    return statistics.fmean(numbers), statistics.stdev(numbers) if len(numbers) > 1 else None


def mcnemar_exact(b: int, c: int) -> float:
    """Return the two-sided exact p-value of McNemar's test (1947, Psychometrika 12:153-157).

    b, c: samples that only the first, or only the second, method gets right. Under the null b is
    Binomial(b + c, 1/2); without such a sample p is 1. Raises ValueError on negative counts.
    """
    if b < 0 or c < 0:
        raise ValueError(f"counts must not be negative, got b={b}, c={c}")
    if b + c == 0:
        return 1.0
    from scipy.stats import binomtest  # here: its import takes longer than all of `avsnn ls runs`

    return float(binomtest(b, b + c, 0.5).pvalue)


def _indices(values: ArrayLike, what: str, classes: int) -> NDArray[np.int64]:
    array = np.asarray(values)
    if array.ndim != 1:
        raise ValueError(f"{what} must have one axis, got shape {array.shape}")
    if array.size == 0:
        return np.zeros(0, dtype=np.int64)
    if not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"{what} must be integers, got {array.dtype}")
    if array.min() < 0 or array.max() >= classes:
        raise ValueError(f"{what} must lie in 0..{classes - 1}, got {array.min()}..{array.max()}")
    return array.astype(np.int64)


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
