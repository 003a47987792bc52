"""The course of a training: its axes, the best epoch, and what it refuses."""

import math

import numpy as np
import pytest

from pipelines.figures.training_plot import draw_training
from tests.unit.pictures import HISTORY, drawn_labels, texts


def test_training_draws_loss_and_validation_accuracy_over_epochs():
    loss, accuracy = draw_training(HISTORY).axes
    assert loss.get_ylabel() == "training loss"
    assert accuracy.get_ylabel() == "validation\naccuracy (%)"
    assert accuracy.get_xlabel() == "epoch"
    np.testing.assert_allclose(loss.lines[0].get_xydata(), [[1, 2.1], [2, 1.2], [3, 0.9], [4, 0.8]])
    np.testing.assert_allclose(accuracy.lines[0].get_xydata(), [[1, 40], [2, 75], [3, 75], [4, 70]])


def test_training_marks_the_earliest_of_the_best_epochs():
    figure = draw_training(HISTORY)
    star = next(line for line in figure.axes[1].lines if line.get_marker() == "*")
    np.testing.assert_allclose(star.get_xydata(), [[2, 75]])
    assert "best: epoch 2, 75.0 %" in texts(figure)


def test_training_marks_the_epoch_that_was_selected_by_another_rule():
    figure = draw_training(HISTORY, selected=4)
    star = next(line for line in figure.axes[1].lines if line.get_marker() == "*")
    np.testing.assert_allclose(star.get_xydata(), [[4, 70]])
    assert "selected: epoch 4, 70.0 %" in texts(figure)


def test_training_draws_the_loss_on_validation_beside_where_it_is_known():
    history = [{**row, "validation_loss": 1.5 - 0.1 * row["epoch"]} for row in HISTORY]
    loss = draw_training(history).axes[0]
    assert loss.get_ylabel() == "loss"
    np.testing.assert_allclose(loss.lines[1].get_ydata(), [1.4, 1.3, 1.2, 1.1])
    names = [text.get_text() for text in loss.get_legend().get_texts()]
    assert names == ["training", "validation"]


def test_training_leaves_out_epochs_without_validation():
    history = [{**row, "validation_accuracy": None} for row in HISTORY[:2]] + HISTORY[2:]
    accuracy = draw_training(history).axes[1]
    np.testing.assert_allclose(accuracy.lines[0].get_xydata(), [[3, 75], [4, 70]])
    assert len(draw_training([{"epoch": 0, "train_loss": 1.0}]).axes) == 1


def test_training_names_only_whole_epochs():
    figure = draw_training(HISTORY[:1])
    figure.draw_without_rendering()
    assert [label.get_text() for label in drawn_labels(figure.axes[-1].xaxis)] == ["1"]


@pytest.mark.parametrize(
    ("history", "says"),
    [
        ([], "no epoch"),
        ([{"epoch": 1}], "train_loss of epoch 1 must be a finite number, got None"),
        ([{"epoch": 1, "train_loss": math.nan}], "train_loss of epoch 1 .* got nan"),
        ([{"train_loss": 1.0}], "epoch must be a finite number"),
        ([HISTORY[1], HISTORY[0]], "must rise"),
        ([HISTORY[0], HISTORY[0]], "must rise"),
        ([{"epoch": 3, "train_loss": 1.0, "validation_accuracy": math.nan}], "of epoch 3"),
        ([{"epoch": 3, "train_loss": 1.0, "validation_accuracy": 75.0}], r"0\.\.1, got 75"),
    ],
)
def test_training_refuses_bad_numbers_and_names_the_epoch(history, says):
    with pytest.raises(ValueError, match=says):
        draw_training(history)
