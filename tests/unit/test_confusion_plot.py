"""The confusion matrix: its numbers against scikit-learn's, its ink, its edges."""

import math

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix

from pipelines.figures.confusion_plot import draw_confusion
from pipelines.figures.plot_style import write
from tests.unit.pictures import (
    COUNTS,
    NAMES,
    assert_inside,
    texts,
)


def test_confusion_says_title_accuracy_n_interval_and_axes():
    figure = draw_confusion(COUNTS, NAMES, "S-CMRL on fold 10")
    interval = binomtest(92, 100).proportion_ci(0.95, method="wilson")
    headline = figure.get_suptitle()
    assert headline.startswith("S-CMRL on fold 10\n")
    assert "accuracy 92.0 %" in headline
    assert "n = 100" in headline
    assert f"{100 * interval.low:.1f}–{100 * interval.high:.1f} %" in headline
    assert {"true class", "predicted class", "share of the true class (%)"} < set(texts(figure))


def test_confusion_prints_each_count_in_row_true_column_predicted():
    axes = draw_confusion(COUNTS, NAMES, "").axes[0]
    cells = {text.get_position(): text.get_text() for text in axes.texts}
    assert cells == {(c, r): str(COUNTS[r][c]) for r in range(3) for c in range(3)}
    assert [label.get_text() for label in axes.get_yticklabels()] == NAMES
    assert axes.yaxis_inverted()


def test_confusion_colours_are_shares_of_the_true_class():
    rng = np.random.default_rng(0)
    labels, predictions = rng.integers(0, 4, 200), rng.integers(0, 4, 200)
    axes = draw_confusion(confusion_matrix(labels, predictions), list("abcd"), "").axes[0]
    expected = 100 * confusion_matrix(labels, predictions, normalize="true")
    np.testing.assert_allclose(axes.images[0].get_array(), expected)
    assert axes.images[0].get_clim() == (0, 100)


def test_confusion_counts_are_light_on_dark_cells_and_dark_on_light_ones():
    axes = draw_confusion([[100, 0, 0], [2, 98, 0], [0, 1, 99]], NAMES, "").axes[0]
    inks = {text.get_position(): text.get_color() for text in axes.texts}
    assert [inks[(k, k)] for k in range(3)] == ["white"] * 3
    assert [inks[(0, 1)], inks[(1, 2)]] == ["black"] * 2


@pytest.mark.parametrize(("classes", "cells"), [(25, 625), (26, 0)])
def test_confusion_prints_counts_up_to_25_classes(classes, cells):
    counts = np.full((classes, classes), 1234)
    axes = draw_confusion(counts, [f"c{k}" for k in range(classes)], "").axes[0]
    assert len(axes.texts) == cells


def test_confusion_row_without_samples_is_grey_and_no_warning_is_given(recwarn):
    figure = draw_confusion([[3, 1], [0, 0]], ["heard", "never heard"], "")
    row = figure.axes[0].images[0].get_array()[1]
    assert np.ma.getmaskarray(row).all() or np.isnan(row).all()
    assert not recwarn.list


def test_confusion_takes_dollar_signs_and_line_breaks_in_names_as_text(tmp_path):
    write(
        draw_confusion([[1, 0], [0, 1]], [r"$\frac$", "two\nlines"], r"$\bad$"), tmp_path / "c.png"
    )
    axes = draw_confusion([[1, 0], [0, 1]], [r"$\frac$", "two\nlines"], "").axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == [r"$\frac$", "two lines"]


@pytest.mark.parametrize("classes", [2, 12, 25, 50])
def test_confusion_keeps_long_names_and_titles_inside_the_picture(classes):
    names = [f"a class name that goes on and on without any end {k}" for k in range(classes)]
    figure = draw_confusion(np.full((classes, classes), 99_999), names, "long title " * 40)
    assert_inside(figure)
    labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert len(set(labels)) == classes


@pytest.mark.parametrize(
    ("counts", "names", "says"),
    [
        ([], [], "does not fit 0 class names"),
        (np.zeros((0, 0)), [], "at least one sample"),
        ([[0, 0], [0, 0]], ["a", "b"], "at least one sample"),
        ([[1, 0], [0, 1]], ["a", "b", "c"], "does not fit 3 class names"),
        ([[1.0, math.nan], [0, 1]], ["a", "b"], "whole counts"),
        ([[1, -1], [0, 1]], ["a", "b"], "whole counts"),
        ([[0.5, 0.5], [0, 1]], ["a", "b"], "whole counts"),
    ],
)
def test_confusion_refuses_what_are_no_counts(counts, names, says):
    with pytest.raises(ValueError, match=says):
        draw_confusion(counts, names, "")
