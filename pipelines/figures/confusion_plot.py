"""The confusion matrix as a picture."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipelines.figures.ground import ground
from pipelines.figures.labels import shorten
from pipelines.figures.plot_style import headline, new_figure, paper_style
from pipelines.results.metrics import wilson_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@paper_style()
def draw_confusion(confusion: ArrayLike, class_names: Sequence[str], title: str) -> "Figure":
    """Draw counts by true (row) and predicted (column) class, coloured by their share of the row.

    confusion: (true, predicted) counts. Cells carry their count up to 25 classes, ticks their class
    name up to 60. A row without samples is grey. Raises ValueError where the matrix is empty, holds
    anything but counts, or does not fit the names.
    """
    from matplotlib.colors import LinearSegmentedColormap

    counts = _counts(confusion, len(class_names))
    classes, n, correct = len(counts), int(counts.sum()), int(np.trace(counts))
    figure = new_figure((5.0, 4.4) if classes <= 12 else (7.0, 6.2))
    axes = figure.subplots()
    with np.errstate(invalid="ignore"):
        percent = 100.0 * counts / counts.sum(axis=1, keepdims=True)
    shares = LinearSegmentedColormap.from_list("shares", ground().shares)
    colours = shares.with_extremes(bad=ground().faint)
    image = axes.imshow(percent, cmap=colours, vmin=0, vmax=100, interpolation="nearest")
    axes.spines[:].set_visible(True)
    if classes <= 60:
        axes.set(xlabel="predicted class", ylabel="true class")
        _name_classes(axes, class_names)
    else:
        axes.set(xlabel="predicted class (index)", ylabel="true class (index)")
    bar = figure.colorbar(image, ax=axes, shrink=0.7, aspect=28, pad=0.02)
    bar.set_label("share of the true class (%)")
    low, high = wilson_interval(correct, n)
    accuracy = (
        f"accuracy {100 * correct / n:.1f} %"
        f" (n = {n}, 95 % Wilson interval {100 * low:.1f}–{100 * high:.1f} %)"
    )
    headline(figure, title, accuracy)
    if classes <= 25:
        shades = image.to_rgba(percent).tolist()
        figure.draw_without_rendering()
        cell_points = axes.get_window_extent().width / figure.dpi * 72 / classes
        size = min(8.0, cell_points / (0.7 * len(str(counts.max()))))
        for (row, column), count in np.ndenumerate(counts):
            ink = _readable_on(shades[row][column]) if count else ground().muted
            axes.text(column, row, str(count), ha="center", va="center", color=ink, fontsize=size)
    return figure


def _counts(confusion: ArrayLike, classes: int) -> NDArray[np.int64]:
    counts = np.asarray(confusion, dtype=np.float64)
    if counts.shape != (classes, classes):
        raise ValueError(f"confusion of shape {counts.shape} does not fit {classes} class names")
    whole = np.isfinite(counts) & (counts >= 0) & (counts == np.floor(counts))
    if not whole.all() or not counts.any():
        raise ValueError("a confusion matrix needs whole counts and at least one sample")
    return counts.astype(np.int64)


def _name_classes(axes: "Axes", class_names: Sequence[str]) -> None:
    names = [shorten(name, 24) for name in class_names]
    turn: dict[str, Any] = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
    if len(names) > 25:
        turn = {"rotation": 90}
    elif max(map(len, names)) * len(names) <= 45:
        turn = {}
    size = 7.5 if len(names) <= 12 else 6.5 if len(names) <= 25 else 5.0
    axes.set_xticks(range(len(names)), names, fontsize=size, **turn)
    axes.set_yticks(range(len(names)), names, fontsize=size)


def _readable_on(rgba: Sequence[float]) -> str:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgba[:3]]
    # Relative luminance of WCAG 2. At 0.18 black and white have the same contrast; on mid-blue
    # white is the one that reads better.
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "white" if luminance < 0.22 else "black"
