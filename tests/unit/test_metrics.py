import json
import math
import subprocess
import sys
import time
import warnings

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn import metrics as reference

from pipelines.results.metrics import (
    confusion_matrix,
    mcnemar_exact,
    mean_sd,
    per_class,
    summary,
    wilson_interval,
)


def answers(n: int, classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    wrong = rng.integers(0, classes, n)
    return labels, np.where(rng.random(n) < 0.7, labels, wrong)


# Newcombe 1998, Statistics in Medicine 17:857-872, Table I, method 3.
@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_interval_is_the_one_newcombe_printed(successes, n, low, high):
    got = wilson_interval(successes, n)
    assert (round(got[0], 4), round(got[1], 4)) == (low, high)


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.999])
@pytest.mark.parametrize(("successes", "n"), [(0, 1), (1, 1), (0, 7), (7, 7), (3, 10), (781, 837)])
def test_wilson_interval_agrees_with_scipy(successes, n, confidence):
    expected = binomtest(successes, n).proportion_ci(confidence, method="wilson")
    got = wilson_interval(successes, n, confidence)
    assert got == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize("n", [1, 3, 29, 837, 100_003])
def test_wilson_interval_stays_within_0_and_1_and_holds_the_proportion(n):
    for successes in {0, 1, n // 2, n - 1, n}:
        low, high = wilson_interval(successes, n)
        assert 0.0 <= low <= successes / n <= high <= 1.0
    assert wilson_interval(0, n)[0] == 0.0
    assert wilson_interval(n, n)[1] == 1.0


@pytest.mark.parametrize(
    ("successes", "n", "confidence", "says"),
    [
        (0, 0, 0.95, "at least one sample"),
        (5, 4, 0.95, "0..4"),
        (-1, 4, 0.95, "0..4"),
        (1, 4, 1.0, "confidence"),
        (1, 4, 0.0, "confidence"),
        (1, 4, math.nan, "confidence"),
    ],
)
def test_wilson_interval_refuses_what_it_cannot_answer(successes, n, confidence, says):
    with pytest.raises(ValueError, match=says):
        wilson_interval(successes, n, confidence)


@pytest.mark.parametrize("classes", [2, 10, 57])
def test_confusion_agrees_with_sklearn(classes):
    labels, predictions = answers(400, classes, seed=classes)
    got = confusion_matrix(labels, predictions, classes)
    expected = reference.confusion_matrix(labels, predictions, labels=range(classes))
    assert got.dtype == np.int64
    np.testing.assert_array_equal(got, expected)


def test_confusion_rows_are_true_classes_and_columns_predicted_ones():
    np.testing.assert_array_equal(
        confusion_matrix([0, 0, 1], [1, 1, 2], 3), [[0, 2, 0], [0, 0, 1], [0, 0, 0]]
    )


def test_confusion_of_small_integer_types_does_not_overflow():
    labels = np.full(3, 199, dtype=np.uint8)
    assert confusion_matrix(labels, labels, 200)[199, 199] == 3


@pytest.mark.parametrize(
    ("labels", "predictions", "says"),
    [
        ([0, 1], [0], "2 labels but 1 predictions"),
        ([0, 3], [0, 1], r"labels must lie in 0\.\.2, got 0\.\.3"),
        ([0, 1], [-1, 1], "predictions must lie"),
        ([0.0, 1.0], [0, 1], "labels must be integers"),
        ([[0, 1]], [[0, 1]], "one axis"),
    ],
)
def test_confusion_refuses_answers_that_do_not_fit(labels, predictions, says):
    with pytest.raises(ValueError, match=says):
        confusion_matrix(labels, predictions, 3)


def test_per_class_numbers_agree_with_sklearn_also_for_absent_classes():
    # Classes 8 and 9 never occur; class 7 is true but never predicted, class 6 the other way.
    labels, predictions = answers(300, 6, seed=1)
    labels, predictions = np.append(labels, 7), np.append(predictions, 6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        precision, recall, f1, support = reference.precision_recall_fscore_support(
            labels, predictions, labels=range(10), zero_division=np.nan
        )
    rows = per_class(confusion_matrix(labels, predictions, 10), [f"c{k}" for k in range(10)])
    for key, expected in (("precision", precision), ("recall", recall), ("f1", f1)):
        got = [math.nan if row[key] is None else row[key] for row in rows]
        np.testing.assert_allclose(got, expected, rtol=1e-12)
    assert [row["n"] for row in rows] == support.tolist()
    assert [row["class"] for row in rows] == [f"c{k}" for k in range(10)]


def test_per_class_interval_is_that_of_the_recall():
    first = per_class([[8, 2], [0, 0]], ["cough", "sneeze"])
    expected = binomtest(8, 10).proportion_ci(0.95, method="wilson")
    assert first[0]["wilson"] == pytest.approx([expected.low, expected.high], abs=1e-12)
    assert first[1]["wilson"] is None


def test_per_class_refuses_names_that_do_not_fit():
    with pytest.raises(ValueError, match="3 class names"):
        per_class(np.zeros((2, 2), dtype=int), ["a", "b", "c"])


def test_summary_agrees_with_sklearn_and_scipy():
    labels, predictions = answers(837, 10, seed=2)
    got = summary(labels, predictions, [f"c{k}" for k in range(10)])
    assert got["n"] == 837
    assert got["accuracy"] == pytest.approx(reference.accuracy_score(labels, predictions))
    assert got["correct"] == reference.accuracy_score(labels, predictions, normalize=False)
    balanced = reference.balanced_accuracy_score(labels, predictions)
    assert got["balanced_accuracy"] == pytest.approx(balanced, rel=1e-12)
    expected = binomtest(got["correct"], 837).proportion_ci(0.95, method="wilson")
    assert got["wilson"] == pytest.approx([expected.low, expected.high], abs=1e-12)
    assert got["confusion"] == reference.confusion_matrix(labels, predictions).tolist()


def test_balanced_accuracy_counts_classes_never_hit_but_not_classes_without_samples():
    labels, predictions = [0, 0, 0, 1, 2], [0, 0, 3, 1, 1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = reference.balanced_accuracy_score(labels, predictions)
    got = summary(labels, predictions, ["a", "b", "c", "d"])["balanced_accuracy"]
    assert got == pytest.approx(expected) == pytest.approx((2 / 3 + 1 + 0) / 3)


def test_summary_survives_strict_json_unchanged():
    got = summary(*answers(50, 4, seed=3), ["a", "b", "c", "d", "never seen"])
    assert json.loads(json.dumps(got, allow_nan=False)) == got


def test_summary_of_nothing_is_refused():
    with pytest.raises(ValueError, match="no samples"):
        summary([], [], ["a", "b"])


def test_mean_sd_divides_by_n_minus_1():
    values = [0.981, 0.976, 0.99]
    mean, sd = mean_sd(values)
    assert mean == pytest.approx(np.mean(values), rel=1e-12)
    assert sd == pytest.approx(np.std(values, ddof=1), rel=1e-9)


def test_mean_sd_of_one_seed_claims_no_spread_and_of_equal_seeds_exactly_zero():
    assert mean_sd([0.9]) == (0.9, None)
    assert mean_sd([0.1, 0.1, 0.1])[1] == 0.0


@pytest.mark.parametrize("values", [[], [0.5, math.nan], [math.inf]])
def test_mean_sd_refuses_nothing_and_numbers_that_are_not_finite(values):
    with pytest.raises(ValueError, match=r"no values|finite"):
        mean_sd(values)


@pytest.mark.parametrize(
    ("b", "c"),
    [(0, 1), (1, 0), (3, 3), (4, 5), (1, 9), (9, 1), (0, 30), (25, 15), (310, 260), (2000, 2100)],
)
def test_mcnemar_agrees_with_scipys_binomial_test(b, c):
    assert mcnemar_exact(b, c) == pytest.approx(binomtest(b, b + c, 0.5).pvalue, rel=1e-9)


def test_mcnemar_gives_the_worked_numbers():
    # 10 discordant pairs, one against nine: 2 · (1 + 10) / 2^10, by hand.
    assert mcnemar_exact(1, 9) == 22 / 1024
    # The 40/8 treatment table of pingouin's manual, p_exact 0.000003.
    assert round(mcnemar_exact(40, 8), 6) == 0.000003


def test_mcnemar_without_disagreement_finds_no_difference():
    assert mcnemar_exact(0, 0) == 1.0
    assert mcnemar_exact(7, 7) == 1.0


def test_mcnemar_of_a_large_test_set_neither_overflows_nor_takes_long():
    start = time.perf_counter()
    assert mcnemar_exact(50_000, 50_500) == pytest.approx(
        binomtest(50_000, 100_500, 0.5).pvalue, rel=1e-9
    )
    assert mcnemar_exact(0, 100_000) == 0.0
    assert time.perf_counter() - start < 10.0


def test_mcnemar_refuses_negative_counts():
    with pytest.raises(ValueError, match="negative"):
        mcnemar_exact(-1, 3)


def test_metrics_bring_no_torch():
    code = "import sys, pipelines.results.metrics; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
