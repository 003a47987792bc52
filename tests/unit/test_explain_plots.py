"""What the pictures of an explanation show, and that they come out the same every time."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.text import Text

from pipelines.figures.explain_plots import (
    CamRow,
    Raster,
    as_picture,
    distances_summary,
    draw_cams,
    draw_distances,
    draw_rasters,
)
from pipelines.figures.plot_style import as_png

NAMES = ["dog_bark", "engine idling of a very long name", "siren"]


def texts(figure):
    return {t.get_text() for t in figure.findobj(Text) if t.get_text() and t.get_visible()}


def cams(runs=2, rows=3):
    rng = np.random.default_rng(0)
    said = [["siren"] * runs, [NAMES[1]] * runs, ["siren"] * runs]
    return draw_cams(
        [
            CamRow(NAMES[k], rng.random((24, 32, 3)), list(rng.random((runs, 3, 4))), said[k])
            for k in range(rows)
        ],
        [f"ccssa={way}" for way in ("both", "none")[:runs]],
        "a title",
    )


def matrix():
    labels = np.repeat([0, 1, 2], [3, 4, 5])
    return draw_distances((labels[:, None] != labels) * 0.5, labels, NAMES, "title", "summary")


def raster(layer="visual.lif", fired=((1, 0), (0, 1), (1, 1))):
    spikes = np.array(fired, dtype=bool).reshape(len(fired), -1)
    return Raster(layer, spikes, np.arange(spikes.shape[1]), 10, spikes.shape[1], 0.2)


def test_events_are_ink_on_paper_summed_over_time():
    # T = 2, channel 0 darker, 1 brighter; pixels: none, darker, brighter, both, half of darker
    frames = np.zeros((2, 2, 1, 5), np.uint8)
    frames[:, 0, 0] = [0, 2, 0, 2, 1]
    frames[:, 1, 0] = [0, 0, 2, 2, 0]
    found = as_picture(frames, events=True)
    blue, vermilion = (np.array(to_rgb(colour)) for colour in ("#0072B2", "#D55E00"))
    wanted = [np.ones(3), blue, vermilion, blue * vermilion, (1 + blue) / 2]
    np.testing.assert_allclose(found[0], wanted, atol=1e-12)
    once = as_picture(frames[:1], events=True)  # half of the time: the same shares, the same ink
    np.testing.assert_allclose(once, found, atol=1e-12)


def test_no_events_and_one_polarity():
    assert (as_picture(np.zeros((3, 2, 4, 4), np.uint8), events=True) == 1).all()
    one = np.zeros((3, 1, 2, 2), np.uint8)
    one[:, 0, 0, 0] = 200
    found = as_picture(one, events=True)
    assert found[0, 0].tolist() == [0, 0, 0] and (found[1] == 1).all()


def test_levels_are_shown_as_they_are():
    levels = np.arange(12, dtype=np.uint8).reshape(3, 2, 2) * 20
    found = as_picture(levels, events=False)
    assert found.shape == (2, 2, 3) and found[1, 1, 2] == 220 / 255
    grey = as_picture(levels[:1], events=False)
    assert grey.shape == (2, 2) and grey[0, 1] == 20 / 255


def test_of_a_video_the_middle_frame_is_shown():
    frames = np.stack([np.full((3, 2, 2), k * 51, np.uint8) for k in range(5)])
    assert (as_picture(frames, events=False) == 2 * 51 / 255).all()


@pytest.mark.parametrize("value", [0.0, 7.0])
def test_what_is_no_level_is_shown_from_least_to_largest(value):
    x = np.array([[[-1.0, 0.0], [1.0, 3.0]]], np.float16)
    np.testing.assert_allclose(as_picture(x, events=False), [[0, 0.25], [0.5, 1]])
    flat = as_picture(np.full((2, 3, 3), value, np.float32), events=False)
    assert flat.shape == (3, 3) and not flat.any()


def test_a_map_lies_over_its_picture_and_a_mistake_is_said():
    figure = cams()
    said = texts(figure)
    assert {"input", "ccssa=both", "ccssa=none", "predicted siren"} <= said
    assert (
        sum(t.get_text() == "predicted siren" for t in figure.findobj(Text)) == 2
    )  # of the first clip
    panels = [axes for axes in figure.axes if axes.images and axes.get_label() != "<colorbar>"]
    assert len(panels) == 9
    for axes in panels:
        assert len({tuple(image.get_extent()) for image in axes.images}) == 1
        assert (axes.get_xlim(), axes.get_ylim()) == ((-0.5, 31.5), (23.5, -0.5))


def test_classes_are_parted_at_their_borders():
    (axes, _) = matrix().axes
    across = sorted({line.get_ydata()[0] for line in axes.lines if len(set(line.get_ydata())) == 1})
    assert across == [3, 7]
    assert [tick for tick in axes.get_xticks()] == [1.5, 5, 9.5]
    assert axes.get_xticklabels()[2].get_text() == "siren"


def test_a_spike_is_a_dash_at_its_step_and_silence_is_said():
    figure = draw_rasters([raster(), raster("audio.lif", ((), (), ()))], "title")
    fired, silent = figure.axes
    dashes = [tuple(map(tuple, path.vertices)) for path in fired.collections[0].get_paths()]
    middles = {((a[0] + b[0]) / 2, a[1]) for a, b in dashes}
    assert middles == {(1, 0), (2, 1), (3, 0), (3, 1)}  # steps count from 1
    assert fired.get_xlim() == (0.5, 3.5)
    assert "silent" in {t.get_text() for t in silent.texts}
    assert "visual.lif\n2 of 10 fire, rate 20 %" in texts(figure)


def test_how_many_clips_are_drawn_is_said():
    found = {"within": 0.25, "between": None}
    assert distances_summary(found, 12, 12) == "within classes 0.250, 12 clips"
    said = distances_summary(found, 500, 2620)
    assert said == "within classes 0.250, 2620 clips, 500 of them drawn by seed"


@pytest.mark.parametrize(
    "draw",
    [cams, matrix, lambda: draw_rasters([raster()] * 5, "t")],
    ids=["cams", "matrix", "rasters"],
)
def test_nothing_is_cut_and_the_same_numbers_give_the_same_bytes(draw):
    figure = draw()
    assert as_png(figure, 60) == as_png(draw(), 60)
    figure.draw_without_rendering()
    width, height = figure.get_size_inches() * figure.dpi
    for text in figure.findobj(Text):
        if text.get_visible() and text.get_text().strip():
            box = text.get_window_extent()
            assert box.x0 >= -1 and box.x1 <= width + 1, text.get_text()
            assert box.y0 >= -1 and box.y1 <= height + 1, text.get_text()
