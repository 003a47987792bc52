"""The noise curve: its axes, its bands, its labels, and what it refuses."""

import dataclasses
import math

import numpy as np
import pytest
from matplotlib.colors import to_hex

from pipelines.figures.noise_plot import NoiseCurve, draw_noise
from pipelines.figures.plot_style import write
from tests.unit.pictures import (
    assert_inside,
    curve,
    texts,
)

# The eight colours of Okabe & Ito, "Color Universal Design" (2008).
OKABE_ITO = {
    *("#000000", "#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7"),
}


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
    write(draw_noise([tidy]), tmp_path / "a.png")
    write(draw_noise([dataclasses.replace(tidy, **columns)]), tmp_path / "b.png")
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
