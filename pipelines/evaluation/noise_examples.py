"""What a network gets to hear and see at each noise level: one test clip (S-CMRL, Fig. 5)."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pipelines.figures.explain_plots import as_picture
from pipelines.figures.plot_style import (
    COLUMN_INCHES,
    MUTED,
    headline,
    new_figure,
    paper_style,
    wrap,
)
from pipelines.training.scale import Scale

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Rows = dict[str, list[NDArray[np.float32]]]
MOST_LEVELS = 8


def unscaled(x: Tensor, scale: Scale) -> NDArray[np.float32]:
    """Turn the first clip of a batch back into the cache's unit: ([T,] C, H, W).

    x: (B, C, H, W), or (T, B, C, H, W) where it changes over time.
    """
    first = x[0] if x.dim() == 4 else x[:, 0]
    found: NDArray[np.float32] = (first.float() * scale.sd + scale.mean).cpu().numpy()
    return found


@paper_style()
def draw_examples(
    levels: list[float | None], rows: Rows, *, events: bool, title: str = "",
    name: Callable[[float], str] = "{:g} dB".format,
) -> "Figure":  # fmt: skip
    """Draw one column a level, under its name (None is clean), and one row a modality.

    rows: by modality, an input ([T,] C, H, W) a level, in the cache's unit; of the sound the first
    channel, in the colours of the clean one, low frequencies or lags below; of several steps their
    mean. events: the picture is of event counts, otherwise of levels of 0 to 255.
    """
    width = max(COLUMN_INCHES[0], 0.75 * len(levels))
    figure = new_figure((width, 0.55 + 0.95 * len(rows)))
    grid = figure.subplots(len(rows), len(levels), squeeze=False)
    for line, (modality, inputs) in zip(grid, rows.items(), strict=True):
        line[0].set_ylabel(modality)
        clean = _heard(inputs[levels.index(None) if None in levels else 0])
        for axes, x in zip(line, inputs, strict=True):
            if modality == "audio":
                axes.imshow(
                    _heard(x), origin="lower", aspect="auto", cmap="viridis",
                    vmin=clean.min(), vmax=clean.max(), interpolation="nearest",
                )  # fmt: skip
            else:
                axes.imshow(_seen(x, events), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(True)
            axes.spines[:].set_color(MUTED)
    for axes, level in zip(grid[0], levels, strict=True):
        axes.set_title("clean" if level is None else name(level), fontsize="small")
    headline(figure, *wrap(title, int(15 * width), 2).split("\n"))
    return figure


def _heard(x: NDArray[np.float32]) -> NDArray[np.float32]:
    steps = x if x.ndim == 4 else x[None]
    found: NDArray[np.float32] = steps[:, 0].mean(0)
    return found


def _seen(x: NDArray[np.float32], events: bool) -> NDArray[np.floating]:
    if events:
        return as_picture(np.maximum(x, 0), events=True)
    return as_picture(np.clip(x, 0, 255).round().astype(np.uint8), events=False)
