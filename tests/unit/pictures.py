"""What the tests of pictures share: small results, a picture of each kind, what is in a figure."""

from pathlib import Path

from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.text import Text

from pipelines.figures.confusion_plot import draw_confusion
from pipelines.figures.noise_plot import NoiseCurve, draw_noise
from pipelines.figures.plot_style import write
from pipelines.figures.training_plot import draw_training

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
        write(draw_confusion(COUNTS, NAMES, "three classes"), folder / f"confusion.{suffix}")
        curves = [curve("fused"), curve("audio", 0.05)]
        write(draw_noise(curves, "white noise"), folder / f"noise.{suffix}")
        write(draw_training(HISTORY), folder / f"training.{suffix}")


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
