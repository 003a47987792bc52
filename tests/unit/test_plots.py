import dataclasses
import math
import os
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.axis import Axis
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix

from pipelines.errors import MachineError
from pipelines.evaluation.plots import (
    NoiseCurve,
    confusion_figure,
    draw_confusion,
    draw_noise,
    draw_training,
    noise_figure,
    training_figure,
)

# The eight colours of Okabe & Ito, "Color Universal Design" (2008).
OKABE_ITO = {
    *("#000000", "#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7"),
}
COUNTS = [[50, 2, 0], [5, 30, 1], [0, 0, 12]]
NAMES = ["dog_bark", "siren", "drilling"]
HISTORY = [
    {"epoch": 1, "train_loss": 2.1, "validation_accuracy": 0.40},
    {"epoch": 2, "train_loss": 1.2, "validation_accuracy": 0.75},
    {"epoch": 3, "train_loss": 0.9, "validation_accuracy": 0.75},
    {"epoch": 4, "train_loss": 0.8, "validation_accuracy": 0.70},
]


def curve(label: str, shift: float = 0.0) -> NoiseCurve:
    levels = [0.0, 10.0, 20.0, 30.0]
    accuracy = [0.2 + shift, 0.5 + shift, 0.8 + shift, 0.85 + shift]
    low, high = [a - 0.03 for a in accuracy], [a + 0.02 for a in accuracy]
    return NoiseCurve(label, levels, accuracy, low, high, clean=0.9 + shift, chance=0.1)


def texts(figure: Figure) -> list[str]:
    found = figure.findobj(Text)
    return [text.get_text() for text in found if text.get_text() and text.get_visible()]


def write_all(folder: Path) -> None:
    for suffix in ("png", "pdf"):
        confusion_figure(COUNTS, NAMES, "three classes", folder / f"confusion.{suffix}")
        curves = [curve("fused"), curve("audio", 0.05)]
        noise_figure(curves, folder / f"noise.{suffix}", "white noise")
        training_figure(HISTORY, folder / f"training.{suffix}")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    write_all(folder)
    return folder


@pytest.mark.parametrize(
    ("name", "inches"), [("confusion", (5.0, 4.4)), ("noise", (5.0, 3.4)), ("training", (5.0, 3.4))]
)
def test_pictures_are_png_of_column_width_at_300_dpi(pictures, name, inches):
    with Image.open(pictures / f"{name}.png") as picture:
        assert picture.format == "PNG"
        assert picture.size == (round(300 * inches[0]), round(300 * inches[1]))
        assert picture.info["dpi"] == pytest.approx((300, 300), abs=0.1)
        assert picture.convert("RGB").getpixel((0, 0)) == (255, 255, 255)


def test_many_classes_get_a_page_wide_picture(tmp_path):
    confusion_figure(
        np.eye(50, dtype=int), [f"class {k}" for k in range(50)], "", tmp_path / "c.png"
    )
    with Image.open(tmp_path / "c.png") as picture:
        assert picture.size == (2100, 1860)


def test_pictures_carry_no_date_and_no_software(pictures):
    for path in pictures.glob("*.pdf"):
        pdf = path.read_bytes()
        assert pdf.startswith(b"%PDF-")
        for trace in (b"CreationDate", b"/Producer", b"/Creator", b"/Type3"):
            assert trace not in pdf
    for path in pictures.glob("*.png"):
        with Image.open(path) as picture:
            assert set(picture.info) == {"dpi"}


def test_same_numbers_give_the_same_bytes_in_another_process_with_other_settings(
    pictures, tmp_path
):
    code = (
        "import pathlib, sys; sys.path.insert(0, sys.argv[1]); import test_plots, matplotlib;"
        "matplotlib.rcParams.update({'font.size': 20, 'xtick.direction': 'in', 'savefig.dpi': 40});"
        "test_plots.write_all(pathlib.Path(sys.argv[2]))"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(Path(__file__).parent), str(tmp_path)],
        env={**os.environ, "PYTHONHASHSEED": "7"},
        check=True,
    )
    names = sorted(path.name for path in tmp_path.iterdir())
    assert len(names) == 6
    for name in names:
        assert (tmp_path / name).read_bytes() == (pictures / name).read_bytes(), name


def test_drawing_leaves_the_settings_of_matplotlib_as_they_were():
    with matplotlib.rc_context({"font.size": 20}):
        before = dict(matplotlib.rcParams)
        draw_noise([curve("fused")])
        assert dict(matplotlib.rcParams) == before


def test_module_imports_no_matplotlib_and_drawing_no_pyplot_and_no_torch(tmp_path):
    code = (
        "import sys, pathlib; import pipelines.evaluation.plots as plots;"
        "print('matplotlib' in sys.modules);"
        "plots.training_figure([{'epoch': 1, 'train_loss': 1.0}], pathlib.Path(sys.argv[1]));"
        "print('matplotlib.pyplot' in sys.modules, 'torch' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "t.png")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"] * 3


def test_writing_replaces_the_old_picture_and_leaves_no_part(tmp_path):
    (tmp_path / "t.png").write_bytes(b"old")
    training_figure(HISTORY, tmp_path / "t.png")
    assert [path.name for path in tmp_path.iterdir()] == ["t.png"]
    assert (tmp_path / "t.png").read_bytes() != b"old"


def test_a_failed_write_keeps_the_old_and_leaves_no_part(tmp_path):
    (tmp_path / "t.png").mkdir()
    (tmp_path / "t.png" / "kept").touch()
    with pytest.raises(MachineError):
        training_figure(HISTORY, tmp_path / "t.png")
    assert [path.name for path in tmp_path.rglob("*")] == ["t.png", "kept"]


def test_other_formats_are_refused_by_name(tmp_path):
    with pytest.raises(ValueError, match=r"\.png or \.pdf.*t\.jpg"):
        training_figure(HISTORY, tmp_path / "t.jpg")
    assert list(tmp_path.iterdir()) == []


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
    confusion_figure([[1, 0], [0, 1]], [r"$\frac$", "two\nlines"], r"$\bad$", tmp_path / "c.png")
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


def test_noise_is_drawn_in_percent_over_db_from_noisy_to_clean():
    figure = draw_noise([curve("fused")], "white noise on both inputs")
    axes = figure.axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("SNR (dB)", "accuracy (%)")
    line = next(line for line in axes.lines if line.get_label() == "fused")
    np.testing.assert_allclose(line.get_xdata(), [0, 10, 20, 30])
    np.testing.assert_allclose(line.get_ydata(), [20, 50, 80, 85])
    left, right = axes.get_xlim()
    assert left < 0 < 30 < right
    assert {"fused", "chance 10 %", "white noise on both inputs"} < set(texts(figure))


def test_noise_shows_clean_right_of_all_levels_behind_a_break_in_the_axis():
    axes = draw_noise([curve("fused")]).axes[0]
    ticks = dict(
        zip([t.get_text() for t in axes.get_xticklabels()], axes.get_xticks(), strict=True)
    )
    clean = next(line for line in axes.lines if line.get_label() == "fused, clean")
    assert list(ticks) == ["0", "10", "20", "30", "clean"]
    assert (clean.get_xdata()[0], clean.get_ydata()[0]) == pytest.approx((ticks["clean"], 90))
    assert 30 < axes.spines["bottom"].get_bounds()[1] < ticks["clean"]


def test_noise_without_clean_has_neither_its_tick_nor_a_break():
    axes = draw_noise([dataclasses.replace(curve("fused"), clean=None)]).axes[0]
    assert "clean" not in [tick.get_text() for tick in axes.get_xticklabels()]
    assert axes.spines["bottom"].get_bounds() is None


def test_noise_band_spans_low_to_high():
    axes = draw_noise([curve("fused")]).axes[0]
    corners = axes.collections[0].get_paths()[0].vertices
    at_ten = corners[np.isclose(corners[:, 0], 10), 1]
    assert (at_ten.min(), at_ten.max()) == pytest.approx((47, 52))


def test_noise_levels_in_any_order_make_the_same_picture(tmp_path):
    tidy = curve("fused")
    columns = {key: getattr(tidy, key)[::-1] for key in ("snr_db", "accuracy", "low", "high")}
    noise_figure([tidy], tmp_path / "a.png")
    noise_figure([dataclasses.replace(tidy, **columns)], tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_noise_curves_differ_in_colour_marker_and_line_also_without_colour():
    labels = [f"method {k}" for k in range(7)]
    lines = draw_noise([curve(label, k / 100) for k, label in enumerate(labels)]).axes[0].lines
    lines = [line for line in lines if line.get_label() in labels]
    colours = {to_hex(line.get_color()) for line in lines}
    assert len(colours) == len(labels)
    assert colours < OKABE_ITO
    assert len({line.get_marker() for line in lines}) == len(labels)
    assert len({line.get_linestyle() for line in lines[:3]}) == 3


@pytest.mark.parametrize("title", ["", "a title much too long for one column of a paper " * 5])
def test_noise_labels_of_curves_that_meet_do_not_overlap_and_stay_in_the_picture(title):
    names = [
        "fused",
        "audio only, with cross-modal attention switched off",
        "visual",
        "late",
        "sum",
    ]
    figure = draw_noise([curve(name, k / 1000) for k, name in enumerate(names)], title)
    assert_inside(figure)
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert len(boxes) == len(names) + 1
    for k, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[k + 1 :])


def test_noise_axis_starts_at_zero_unless_all_lies_near_the_top():
    assert draw_noise([curve("fused")]).axes[0].get_ylim()[0] == 0
    top = NoiseCurve("fused", [0.0, 10.0], [0.97, 0.99], [0.96, 0.98], [0.98, 1.0], 0.995, 0.1)
    figure = draw_noise([top])
    bottom, ceiling = figure.axes[0].get_ylim()
    assert 90 <= bottom < 96
    assert 100 <= ceiling < 102
    assert "chance 10 %\n(below the axis)" in texts(figure)


@pytest.mark.parametrize("levels", [[5.0], list(map(float, range(-20, 31, 2)))])
def test_noise_takes_one_level_and_many(levels):
    n = len(levels)
    one = NoiseCurve("fused", levels, [0.5] * n, [0.4] * n, [0.6] * n, clean=0.7)
    figure = draw_noise([one])
    assert_inside(figure)
    assert len(figure.axes[0].get_xticks()) <= 11
    assert figure.axes[0].get_xticklabels()[-1].get_text() == "clean"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"snr_db": [], "accuracy": [], "low": [], "high": []}, "one value a level"),
        ({"low": [0.1]}, "one value a level"),
        ({"accuracy": [0.2, math.nan, 0.8, 0.85]}, "at 10 dB: accuracy must be a finite number"),
        ({"snr_db": [0.0, 10.0, 20.0, math.inf]}, "snr_db must be a finite number, got inf"),
        ({"snr_db": [0.0, 10.0, 10.0, 30.0]}, "an SNR stands twice"),
        ({"accuracy": [20.0, 50.0, 80.0, 85.0]}, r"must lie in 0\.\.1, got 20"),
        ({"high": [0.3, 0.4, 0.9, 0.9]}, "accuracy 0.5 lies outside its band"),
        ({"low": [None, 0.4, 0.7, 0.8]}, "low must be a finite number, got None"),
        ({"clean": math.nan}, "clean must be a finite number"),
        ({"chance": 10.0}, r"chance must lie in 0\.\.1"),
    ],
)
def test_noise_refuses_bad_numbers_and_names_the_curve(change, says):
    with pytest.raises(ValueError, match=rf"noise curve 'fused'.*{says}"):
        draw_noise([curve("audio"), dataclasses.replace(curve("fused"), **change)])


def test_noise_refuses_no_curve():
    with pytest.raises(ValueError, match="no noise curve"):
        draw_noise([])


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


def drawn_labels(axis: Axis) -> list[Text]:
    # A locator also makes labels for ticks just outside the axis; those are never drawn.
    low, high = sorted(axis.get_view_interval())
    pairs = zip(axis.get_ticklocs(), axis.get_ticklabels(), strict=True)
    return [label for place, label in pairs if low <= place <= high]


def assert_inside(figure: Figure) -> None:
    figure.draw_without_rendering()
    axes = figure.axes[0]
    drawn = [*axes.texts, *drawn_labels(axes.xaxis), *drawn_labels(axes.yaxis)]
    drawn += [figure._suptitle] if figure._suptitle else []
    page = figure.bbox.padded(1)
    for text in drawn:
        box = text.get_window_extent()
        assert page.x0 <= box.x0 and box.x1 <= page.x1, text
        assert page.y0 <= box.y0 and box.y1 <= page.y1, text
