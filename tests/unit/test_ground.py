"""A figure on a dark ground is the same figure, in colours that are legible there."""

import io

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from pipelines.figures.confusion_plot import draw_confusion
from pipelines.figures.explain_plots import Raster, draw_distances, draw_rasters
from pipelines.figures.ground import DARK, LIGHT, drawn_on, ground
from pipelines.figures.noise_plot import draw_noise
from pipelines.figures.plot_style import on_both_grounds
from pipelines.figures.training_plot import draw_training
from pipelines.reports.compare import compare
from pipelines.reports.comparison_plots import draw_bars, draw_boxes
from pipelines.reports.run_plots import draw_doa_by_azimuth
from tests.unit.pictures import COUNTS, HISTORY, NAMES, curve
from tests.unit.test_compare import result

RASTER = Raster("lif", np.eye(3, dtype=bool), np.arange(3), 10, 3, 0.2)
ALPHAS = [result("a", 5 + k, settings={"x": k}) for k in range(2)]
FIGURES = {
    "confusion": lambda: draw_confusion(COUNTS, NAMES, "title"),
    "noise": lambda: draw_noise([curve("fused"), curve("audio", 0.05)], "title"),
    "training": lambda: draw_training(HISTORY),
    "bars": lambda: draw_bars(compare(ALPHAS)),
    "boxes": lambda: draw_boxes(ALPHAS, "x"),
    "azimuths": lambda: draw_doa_by_azimuth({"a": 90.0}, {"a": 80.0}, "title"),
    "distances": lambda: draw_distances(np.eye(3), np.arange(3), NAMES, "title", "summary"),
    "raster": lambda: draw_rasters([RASTER], "title"),
}


def contrast(first, second):
    """Compute the contrast ratio of WCAG 2."""
    lighter, darker = sorted((luminance(first), luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour):
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


def test_text_and_curves_are_legible_on_a_dark_page():
    """WCAG 2: 4.5 for text, 3 for graphics."""
    assert contrast(DARK.ink, DARK.page) >= 7 and contrast(DARK.muted, DARK.page) >= 4.5
    assert min(contrast(colour, DARK.page) for colour in DARK.curves) >= 3
    assert len(set(DARK.curves)) == len(LIGHT.curves) == len(DARK.curves)


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_has_a_dark_variant_of_the_same_layout(name):
    pictures = []
    for png in on_both_grounds(FIGURES[name]):
        with Image.open(io.BytesIO(png)) as image:
            pictures.append(np.asarray(image.convert("RGB")).astype(int))
    light, dark = pictures
    assert light.shape == dark.shape
    assert (light[0, 0] == 255).all() and (dark[0, 0] == 0x16).all()
    # what is drawn on white is drawn on dark too: no text, tick or axis is dark on dark
    margin = np.s_[:, : light.shape[1] // 12]  # with the names and ticks of the axis at the left
    inked = [(np.abs(x - x[0, 0]).max(-1) > 64)[margin].sum() for x in pictures]
    assert inked[1] > 0.8 * inked[0] > 0


def test_the_ground_is_white_again_after_a_dark_picture_even_after_an_error():
    with pytest.raises(ValueError, match="broken"), drawn_on(DARK):
        assert ground() is DARK
        raise ValueError("broken")
    assert ground() is LIGHT
