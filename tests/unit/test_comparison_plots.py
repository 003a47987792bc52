"""The pictures of a comparison and of its runs: what is drawn, against numbers from outside."""

import json
import math

import numpy as np
import pytest
from PIL import Image
from scipy.stats import binomtest

from pipelines.errors import DataError
from pipelines.figures.plot_style import as_png
from pipelines.reports.compare import compare
from pipelines.reports.comparison_plots import (
    draw_bars,
    draw_boxes,
    draw_noise_curves,
    short_names,
    swept,
)
from pipelines.reports.run_plots import (
    draw_doa_by_azimuth,
    draw_run_confusion,
    draw_run_training,
    errors_by_sector,
)
from pipelines.reports.system_names import names_apart
from tests.unit.test_compare import result


def lines(figure):
    return {line.get_label(): line for line in figure.axes[0].lines}


def band(axes, number):
    """Return {x: (low, high)} of a shaded band."""
    found = {}
    for x, y in axes.collections[number].get_paths()[0].vertices.tolist():
        low, high = found.get(x, (math.inf, -math.inf))
        found[x] = (min(low, y), max(high, y))
    return found


def test_a_noise_curve_is_the_mean_with_a_band_of_one_deviation():
    """0.5 and 0.7 over two seeds: 60 ± 14.14 %."""
    seeds = [
        result("a", 8, seed=s, noise={"0 dB": level, "10 dB": 0.8, "audio 5 dB": 0.1})
        for s, level in enumerate((0.5, 0.7))
    ]
    figure = draw_noise_curves(compare(seeds))
    assert lines(figure)["a"].get_xydata().tolist() == [[0, 60], [10, 80]]
    assert lines(figure)["a, clean"].get_ydata()[0] == pytest.approx(80)
    shaded = band(figure.axes[0], 0)
    half = 100 * np.std([0.5, 0.7], ddof=1)
    assert shaded[0] == pytest.approx((60 - half, 60 + half))
    assert shaded[10] == pytest.approx((80, 80))


def test_one_seed_has_the_wilson_interval_as_band():
    figure = draw_noise_curves(compare([result("a", 8, noise={"0 dB": 0.6})]))
    outside = binomtest(6, 10).proportion_ci(method="wilson")
    assert band(figure.axes[0], 0)[0] == pytest.approx((100 * outside.low, 100 * outside.high))


@pytest.mark.parametrize(
    ("modality", "points"),
    [("both", [[5, 50]]), ("audio", [[-5, 20], [5, 30]]), ("visual", [[5, 70]])],
)
def test_each_kind_of_noise_has_its_own_curves(modality, points):
    noise = {"5 dB": 0.5, "audio 5 dB": 0.3, "audio -5 dB": 0.2, "visual 5 dB": 0.7}
    rows = compare([result("a", 8, noise=noise), result("silent", 7)])
    drawn = lines(draw_noise_curves(rows, modality))
    assert drawn["a"].get_xydata() == pytest.approx(np.array(points))
    assert "silent" not in drawn


def test_no_noise_is_no_picture():
    with pytest.raises(ValueError, match="no noise curve"):
        draw_noise_curves(compare([result("a", 8)]))


def test_bars_are_as_long_as_the_accuracies_from_zero_with_the_best_on_top():
    said = {"accuracy_percent": 73.25, "n": 744, "protocol": "p", "source": "s"}
    runs = [result("x/b", hits, seed=s) for s, hits in enumerate((4, 6))]
    axes = draw_bars(compare([*runs, result("x/a", 7, published=said)])).axes[0]
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([70, 50])
    assert [bar.get_x() for bar in axes.patches] == [0, 0] and axes.get_xlim()[0] == 0
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["a", "b"]
    assert axes.yaxis_inverted()
    (diamond,) = [line for line in axes.lines if line.get_label() == "paper"]
    assert diamond.get_xydata().tolist() == [[73.25, 0]]
    assert {text.get_text() for text in axes.texts} == {"70.00", "50.00 ± 14.14"}
    (dots,) = [line for line in axes.lines if len(line.get_xdata()) == 2]
    assert dots.get_xdata() == pytest.approx([40, 60])


def test_error_bars_are_one_deviation_or_the_wilson_interval():
    runs = [result("b", hits, seed=s) for s, hits in enumerate((4, 6))]
    axes = draw_bars(compare([*runs, result("a", 7)])).axes[0]
    ends = [box.get_segments()[0][:, 0].tolist() for box in axes.collections]
    outside = binomtest(7, 10).proportion_ci(method="wilson")
    assert ends[0] == pytest.approx([100 * outside.low, 100 * outside.high])
    half = 100 * np.std([0.4, 0.6], ddof=1)
    assert ends[1] == pytest.approx([50 - half, 50 + half])


def test_boxes_have_the_quartiles_of_the_seeds():
    accuracies = {0.5: (3, 5, 6, 9), 1.5: (7, 7, 8, 10), 10: (1, 2, 4, 4)}
    runs = [
        result("a", hits, seed=s, settings={"model.alpha": alpha, "model.width": 8})
        for alpha in (10, 0.5, 1.5)
        for s, hits in enumerate(accuracies[alpha])
    ]
    assert swept(runs) == "model.alpha"
    axes = draw_boxes(runs, "model.alpha").axes[0]
    ticks = [tick.get_text().split("\n")[0] for tick in axes.get_xticklabels()]
    assert ticks == ["0.5", "1.5", "10"]
    for hits, box in zip(accuracies.values(), axes.patches, strict=True):
        heights = box.get_path().vertices[:, 1]
        wanted = np.percentile([10 * h for h in hits], [25, 75])
        assert [heights.min(), heights.max()] == pytest.approx(wanted)
    drawn = {tuple(line.get_ydata().tolist()) for line in axes.lines}
    for hits in accuracies.values():
        median = float(np.median([10 * h for h in hits]))
        assert any(y == pytest.approx((median, median)) for y in drawn)
        assert any(y == pytest.approx(tuple(10.0 * h for h in hits)) for y in drawn)


@pytest.mark.parametrize(
    "settings",
    [
        [{"x": 1, "y": 1}, {"x": 2, "y": 2}],
        [{"x": "one"}, {"x": "two"}],
        [{"x": True}, {"x": False}],
        [{"x": None}, {"x": 2}],
        [{"x": 1}, {"x": 1}],
    ],
    ids=["two settings", "texts", "switches", "one has none", "nothing"],
)
def test_only_one_numeric_setting_makes_boxes(settings):
    runs = [result("a", 5, seed=s, settings=each) for s, each in enumerate(settings)]
    assert swept(runs) is None
    if settings[0] != settings[1]:
        with pytest.raises(ValueError, match="x"):
            draw_boxes(runs, "x")


def test_boxes_of_two_recipes_are_refused():
    runs = [result("a", 5, settings={"x": 1}), result("b", 5, settings={"x": 2})]
    assert swept(runs) is None
    with pytest.raises(ValueError, match="in x alone"):
        draw_boxes(runs, "x")


def test_folders_are_left_out_of_names_unless_they_tell_systems_apart():
    assert short_names([{"system": "d/a (m.x=p/q)"}, {"system": "e/b"}]) == ["a (m.x=p/q)", "b"]
    assert short_names([{"system": "d/a"}, {"system": "e/a"}]) == ["d/a", "e/a"]


@pytest.mark.parametrize(
    ("systems", "names", "shared"),
    [
        (["d/a (model.alpha=0.5)", "d/a (model.alpha=1.5)"], ["alpha=0.5", "alpha=1.5"], "a"),
        (["d/a (m.x=p/q, n.y=[1, 2])", "e/b"], ["x=p/q, y=[1, 2], a", "b"], ""),
        (["d/a", "e/a"], ["d/a", "e/a"], ""),
        (["d/a_b_c", "d/x_b_c"], ["a", "x"], "recipes …_b_c"),
        (["d/a [0a1]", "d/a [f3]", "d/b"], ["0a1, a", "f3, a", "b"], ""),
        (["d/a (m.x=1, n.x=2)", "d/a (m.x=2, n.x=1)"], ["x=1, x=2", "x=2, x=1"], "a"),
        (["d/a (m.x=1)", "d/a (n.x=1)"], ["d/a (m.x=1)", "d/a (n.x=1)"], ""),
        (["d/a"], ["a"], ""),
    ],
)  # fmt: skip
def test_a_name_in_a_picture_begins_with_what_tells_systems_apart(systems, names, shared):
    assert names_apart([{"system": system} for system in systems]) == (names, shared)


def test_long_names_that_differ_at_their_ends_are_different_labels():
    """Names of over 80 characters, of which a label has room for 66 and a bar for 68."""
    same = "value-that-stands-in-all=" + "x" * 60
    noise = {"0 dB": 0.5, "10 dB": 0.8}
    rows = compare([
        result("a", 8 - k, noise=noise, settings={"long": f"{same} {k}"}) for k in range(3)
    ])  # fmt: skip
    figure = draw_noise_curves(rows)
    drawn = [text.get_text() for text in figure.axes[0].texts]
    ticks = [tick.get_text() for tick in draw_bars(rows).axes[0].get_yticklabels()]
    for labels in (drawn, ticks):
        assert len(labels) == 3 and len(set(labels)) == 3


def test_errors_by_azimuth_go_the_shorter_way_round():
    """-15° to 15° is one sector: 350 and 10 are in it, 15 is in the next; 359 for 3 is 4° off."""
    true = {"a": 350.0, "b": 10.0, "c": 15.0, "d": 3.0, "e": 180.0, "f": 345.0, "g": 344.9}
    said = {"a": 10.0, "b": 350.0, "c": 16.0, "d": 359.0, "e": 0.0, "f": 345.0, "g": 340.9}
    counts, means, mean = errors_by_sector(said, true)
    assert counts.tolist() == [4, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]
    assert means[[0, 1, 6, 11]] == pytest.approx([(20 + 20 + 4 + 0) / 4, 1, 180, 4])
    assert np.isnan(means[2]) and mean == pytest.approx((20 + 20 + 1 + 4 + 180 + 0 + 4) / 7)
    axes = draw_doa_by_azimuth(said, true).axes[0]
    assert [bar.get_height() for bar in axes.patches] == pytest.approx([11, 1, 180, 4])
    middles = [bar.get_x() + bar.get_width() / 2 for bar in axes.patches]
    assert middles == pytest.approx([0, 1, 6, 11])
    ticks = [tick.get_text() for tick in axes.get_xticklabels()]
    assert ticks[:2] == ["0°\n(4)", "30°\n(1)"] and len(ticks) == 12
    (line,) = axes.lines
    assert line.get_ydata()[0] == pytest.approx(mean)


def test_azimuths_without_error_are_a_picture_and_of_other_clips_are_none():
    assert as_png(draw_doa_by_azimuth({"a": 90.0}, {"a": 90.0}))
    for said, true in (({}, {}), ({"a": 1.0}, {"b": 1.0})):
        with pytest.raises(ValueError, match="same clips"):
            draw_doa_by_azimuth(said, true)


TRAINED = {"selected": {"epoch": 2}, "rule": "lowest-loss", "sha256": "0" * 64}


def test_a_runs_confusion_and_training_are_its_own(tmp_path):
    run = result("a", 8, seed=3)
    run.evaluation.update(confusion=[[4, 1], [1, 4]], per_class=[{"class": "x"}, {"class": "y"}])
    axes = draw_run_confusion(run).axes[0]
    assert [text.get_text() for text in axes.texts] == ["4", "1", "1", "4"]
    history = [{"epoch": e, "train_loss": 2 / e, "validation_accuracy": e / 4} for e in (1, 2, 3)]
    (tmp_path / "metrics.jsonl").write_text("\n".join(map(json.dumps, history)))
    (tmp_path / "trained.json").write_text(json.dumps(TRAINED))
    losses, accuracies = draw_run_training(tmp_path).axes
    assert losses.lines[0].get_ydata() == pytest.approx([2, 1, 2 / 3])
    assert accuracies.lines[0].get_ydata() == pytest.approx([25, 50, 75])
    assert [text.get_text() for text in accuracies.texts] == ["selected: epoch 2, 50.0 %"]


@pytest.mark.parametrize("content", [None, "", "[]", '{"epoch": 1', '{"epoch": 1}'])
def test_a_damaged_history_is_one_line(tmp_path, content):
    (tmp_path / "trained.json").write_text(json.dumps(TRAINED))
    if content is not None:
        (tmp_path / "metrics.jsonl").write_text(content)
    with pytest.raises(DataError, match=r"metrics\.jsonl"):
        draw_run_training(tmp_path)


def test_the_same_numbers_give_the_same_bytes_without_date_or_software(tmp_path):
    rows = compare([result("a", 8, noise={"0 dB": 0.5}), result("b", 5)])
    for draw in (draw_bars, draw_noise_curves):
        png = as_png(draw(rows))
        assert png == as_png(draw(rows))
        (tmp_path / "p.png").write_bytes(png)
        with Image.open(tmp_path / "p.png") as picture:
            assert set(picture.info) == {"dpi"}
            assert picture.convert("RGB").getpixel((0, 0)) == (255, 255, 255)
