"""Cosine distances against closed forms and scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import pairwise, silhouette_score

from pipelines.errors import DataError
from pipelines.evaluation.distances import cosine_distances, distances, sorted_by_class


def drawn(n=60, size=7, classes=4, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    embeddings = rng.normal(size=(n, size)) + 2 * rng.normal(size=(classes, size))[labels]
    return embeddings.astype(np.float32), labels


def test_two_orthogonal_classes():
    embeddings = np.array([[1, 0], [3, 0], [0, 2], [0, 5]])
    found = distances(embeddings, np.array([0, 0, 1, 1]), 2)
    assert found == {
        "within": 0.0,
        "between": 1.0,
        "ratio": 0.0,
        "silhouette": 1.0,
        "by_class": [[0.0, 1.0], [1.0, 0.0]],
    }


def test_a_known_angle():
    # 60 degrees between the two of class 0: 1 - cos = 1/2; the third is opposite to the first
    embeddings = np.array([[1, 0], [0.5, 0.75**0.5], [-1, 0]])
    found = distances(embeddings, np.array([0, 0, 1]), 2)
    assert found["within"] == pytest.approx(0.5)
    assert found["between"] == pytest.approx((2 + 1.5) / 2)
    assert found["ratio"] == pytest.approx(0.5 / 1.75)


def test_the_matrix_is_scikit_learns():
    embeddings, _ = drawn()
    embeddings[3] = 0
    found = cosine_distances(embeddings)
    np.testing.assert_allclose(found, pairwise.cosine_distances(embeddings), atol=1e-6)
    assert np.array_equal(found, found.T) and not found.diagonal().any()


@pytest.mark.parametrize("zeros", [0, 5], ids=["no-zeros", "some-zeros"])
def test_the_means_are_those_over_scikit_learns_pairs(zeros):
    embeddings, labels = drawn()
    embeddings[:zeros] = 0
    pairs = pairwise.cosine_distances(embeddings.astype(np.float64))
    different = ~np.eye(len(labels), dtype=bool)
    same = labels[:, None] == labels
    found = distances(embeddings, labels, 4)
    assert found["within"] == pytest.approx(pairs[same & different].mean(), rel=1e-9)
    assert found["between"] == pytest.approx(pairs[~same].mean(), rel=1e-9)
    for a in range(4):
        for b in range(4):
            block = (labels[:, None] == a) & (labels == b) & different
            assert found["by_class"][a][b] == pytest.approx(pairs[block].mean(), rel=1e-9)
    wanted = silhouette_score(embeddings.astype(np.float64), labels, metric="cosine")
    assert found["silhouette"] == pytest.approx(wanted, rel=1e-9)


def test_scale_does_not_count():
    embeddings, labels = drawn()
    scales = np.logspace(-200, 200, len(labels))[:, None]
    one, other = distances(embeddings, labels, 4), distances(embeddings * scales, labels, 4)
    assert other["within"] == pytest.approx(one["within"], rel=1e-9)
    assert other["between"] == pytest.approx(one["between"], rel=1e-9)


def test_a_silent_network_is_at_distance_1_from_all():
    found = distances(np.zeros((4, 3)), np.array([0, 0, 1, 1]), 2)
    assert found["within"] == found["between"] == found["ratio"] == 1
    assert found["silhouette"] == 0
    matrix = cosine_distances(np.zeros((4, 3)))
    assert np.array_equal(matrix, 1 - np.eye(4))


def test_what_has_no_pair_has_no_number():
    found = distances(np.ones((2, 3)), np.array([0, 2]), 3)
    assert found["within"] is None and found["ratio"] is None
    assert found["between"] == pytest.approx(0, abs=1e-12)
    assert found["by_class"][1] == [None] * 3 and found["by_class"][0][0] is None
    alone = distances(np.ones((2, 3)), np.array([0, 0]), 1)
    assert alone["between"] is None and alone["silhouette"] is None


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_refused(value):
    with pytest.raises(DataError):
        distances(np.array([[1.0, value]]), np.array([0]), 1)


def test_clips_are_drawn_by_seed_and_sorted_by_class():
    labels = np.random.default_rng(0).integers(0, 5, 1000)
    everything = sorted_by_class(labels, 1000, 0)
    assert sorted(everything) == list(range(1000))
    some = sorted_by_class(labels, 200, 0)
    assert len(set(some.tolist())) == 200
    for chosen in (everything, some):
        assert (np.diff(labels[chosen]) >= 0).all()
        assert all((np.diff(chosen[labels[chosen] == c]) > 0).all() for c in range(5))
    assert np.array_equal(some, sorted_by_class(labels, 200, 0))
    assert not np.array_equal(some, sorted_by_class(labels, 200, 1))
