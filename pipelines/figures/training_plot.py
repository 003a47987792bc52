"""The course of a training as a picture: loss and validation accuracy over the epochs."""

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pipelines.figures.ground import ground
from pipelines.figures.plot_style import COLUMN_INCHES, finite, fraction, new_figure, paper_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@paper_style()
def draw_training(history: Sequence[Mapping[str, Any]], selected: int | None = None) -> "Figure":
    """Draw the losses and validation_accuracy (0..1) over epoch, and mark one epoch.

    selected: the epoch whose weights are kept; None marks the best, the highest validation
    accuracy, the earliest of equals. An epoch without validation_accuracy is left out of its panel,
    and validation_loss is drawn where every epoch has it. Raises ValueError where there is no
    epoch, epochs do not rise, or a number is missing or not finite.
    """
    from matplotlib.ticker import MaxNLocator

    if not history:
        raise ValueError("no epoch to draw")
    epochs = [finite(record.get("epoch"), "epoch") for record in history]
    if any(later <= earlier for earlier, later in itertools.pairwise(epochs)):
        raise ValueError("the epochs of a history must rise")
    losses, validated = [], []
    for epoch, record in zip(epochs, history, strict=True):
        losses.append(finite(record.get("train_loss"), f"train_loss of epoch {epoch:g}"))
        accuracy = record.get("validation_accuracy")
        if accuracy is not None:
            what = f"validation_accuracy of epoch {epoch:g}"
            validated.append((epoch, 100 * fraction(accuracy, what)))
    figure = new_figure(COLUMN_INCHES)
    panels = figure.subplots(2 if validated else 1, sharex=True, squeeze=False)[:, 0].tolist()
    marker = "o" if len(epochs) <= 25 else ""
    panels[0].plot(epochs, losses, color=ground().curves[1], marker=marker, markersize=3)
    if all("validation_loss" in record for record in history):
        held_out = [
            finite(record["validation_loss"], f"validation_loss of epoch {epoch:g}")
            for epoch, record in zip(epochs, history, strict=True)
        ]
        panels[0].plot(
            epochs, held_out, color=ground().curves[0], linestyle="--", marker=marker, markersize=3
        )
        panels[0].legend(["training", "validation"])
        panels[0].set(ylabel="loss")
    else:
        panels[0].set(ylabel="training loss")
    if validated:
        panels[1].plot(
            *zip(*validated, strict=True), color=ground().curves[0], marker=marker, markersize=3
        )
        panels[1].set(ylabel="validation\naccuracy (%)")
        best = max(validated, key=lambda point: (point[1], -point[0]))
        kept = next((point for point in validated if point[0] == selected), None)
        _mark(panels, "selected" if kept else "best", *(kept or best))
    for panel in panels:
        panel.grid(axis="y")
    margin = max(0.5, 0.03 * (epochs[-1] - epochs[0]))
    panels[-1].set(xlabel="epoch", xlim=(epochs[0] - margin, epochs[-1] + margin))
    steps = [1, 2, 5, 10]
    panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, steps=steps))
    figure.align_ylabels()
    return figure


def _mark(panels: Sequence["Axes"], name: str, epoch: float, percent: float) -> None:
    for panel in panels:
        panel.axvline(epoch, color=ground().muted, linewidth=0.8, linestyle=":", zorder=1)
    accuracy = panels[-1]
    accuracy.plot([epoch], [percent], marker="*", markersize=8, color=ground().ink, mew=0, zorder=5)
    late = 2 * epoch > sum(accuracy.dataLim.intervalx)
    accuracy.annotate(
        f"{name}: epoch {epoch:g}, {percent:.1f} %",
        (epoch, 0.09),
        (-4 if late else 4, 0),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        ha="right" if late else "left",
        bbox={"facecolor": ground().page, "edgecolor": "none", "pad": 1, "alpha": 0.8},
    )
