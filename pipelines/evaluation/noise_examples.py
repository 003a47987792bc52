"""Draw what a network hears and sees at each noise level: one test clip (S-CMRL, Fig. 5)."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pipelines.figures.explain_plots import POLARITIES, as_picture, full_ink
from pipelines.figures.ground import ground
from pipelines.figures.labels import wrap
from pipelines.figures.plot_style import headline, new_figure, paper_style
from pipelines.training.scale import Scale

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

Inputs = Sequence[NDArray[np.float32]]
Rows = dict[str, list[NDArray[np.float32]]]
MOST_LEVELS = 8
SMALL = 6.5
# what a feature's rows and columns are, by what it reads
AXES = {
    "waveform": ("frequency (bin)", "time (frame)"),
    "microphones": ("lag (sample)", "time (frame)"),
    "spikes": ("channel", "time (frame)"),
}
PIXELS = ("y (pixel)", "x (pixel)")


class Reading(NamedTuple):
    """What the numbers of an input are: what its feature reads, and their unit."""

    reads: str
    unit: str

    @property
    def axes(self) -> tuple[str, str]:
        """The names of an input's rows and columns."""
        return AXES.get(self.reads, PIXELS)


class _Shown(NamedTuple):
    """The inputs of a modality as pictures on one scale, and its colour bars.

    pictures: (H, W) on `low`..`high`, or (H, W, 3) in 0..1. bars: one colour map a bar.
    """

    pictures: Sequence[NDArray[np.floating[Any]]]
    low: float
    high: float
    bars: "Sequence[Colormap | str]"
    unit: str
    is_plot: bool


def unscaled(x: Tensor, scale: Scale) -> NDArray[np.float32]:
    """Turn the first clip of a batch back into the cache's unit: ([T,] C, H, W).

    x: (B, C, H, W), or (T, B, C, H, W) where it changes over time.
    """
    first = x[0] if x.dim() == 4 else x[:, 0]
    values: NDArray[np.float32] = (first.float() * scale.sd + scale.mean).cpu().numpy()
    return values


@paper_style()
def draw_examples(
    levels: list[float | None],
    rows: Rows,
    readings: Mapping[str, Reading],
    *,
    title: str = "",
    name: Callable[[float], str] = "{:g} dB".format,
) -> "Figure":
    """Draw one column a level, under its name (None is clean), and one row a modality.

    rows: by modality, an input ([T,] C, H, W) a level, in the cache's unit. readings: by modality.
    All levels of a modality have one colour scale, shown by the bar at the right. Of the sound the
    first channel is drawn, low frequencies or lags below; of several steps their mean. Pictures
    have levels of 0 to 255, events are summed over the steps.
    """
    # the pictures' own inches, then those of names and ticks at the left and the bar at the right
    width = 1.6 + 0.75 * len(levels)
    figure = new_figure((max(3.4, width), 0.6 + 1.15 * len(rows)))
    grid = figure.subplots(len(rows), len(levels), squeeze=False)
    for line, (modality, inputs) in zip(grid, rows.items(), strict=True):
        reading = readings[modality]
        shown = _heard(inputs, reading) if modality == "audio" else _seen(inputs, reading)
        for axes, picture in zip(line, shown.pictures, strict=True):
            _draw(axes, picture, shown)
        _name_axes(line, modality, reading)
        _add_bars(figure, line, shown)
    for axes, level in zip(grid[0], levels, strict=True):
        axes.set_title("clean" if level is None else name(level), fontsize="small")
    headline(figure, *wrap(title, int(15 * width), 2).split("\n"))
    return figure


def _draw(axes: "Axes", picture: NDArray[np.floating[Any]], shown: _Shown) -> None:
    axes.imshow(
        picture,
        origin="lower" if shown.is_plot else "upper",
        aspect="auto" if shown.is_plot else "equal",
        cmap=shown.bars[0],
        vmin=shown.low,
        vmax=shown.high,
        interpolation="nearest",
    )
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(True)
    axes.spines[:].set_color(ground().muted)


def _name_axes(line: "Sequence[Axes]", modality: str, reading: Reading) -> None:
    """Name rows and columns at the first picture of a line, with the number of the last of each."""
    across, down = reading.axes[1], reading.axes[0]
    first = line[0]
    height, width = first.images[0].get_size()
    first.set_ylabel(f"{modality}\n{down}", fontsize=SMALL)
    first.set_xlabel(across, fontsize=SMALL, labelpad=1)
    first.set_xticks([0, width - 1])
    first.set_yticks([0, height - 1])
    first.tick_params(labelsize=SMALL, length=1.5, pad=1.5)


def _add_bars(figure: "Figure", line: "Sequence[Axes]", shown: _Shown) -> None:
    """Add a colour bar for each ink; the outermost one has the numbers and the unit."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    scale = Normalize(shown.low, shown.high)
    # the layout puts each further bar inside of those before
    for number, colours in enumerate(reversed(shown.bars)):
        bar = figure.colorbar(
            ScalarMappable(scale, colours), ax=list(line), aspect=14, pad=0.01, fraction=0.06
        )
        bar.ax.tick_params(labelsize=SMALL, length=1.5, pad=1.5)
        if number:
            bar.set_ticks([])
        else:
            bar.set_label(wrap(shown.unit, 20, 2), fontsize=SMALL)


def _heard(inputs: Inputs, reading: Reading) -> _Shown:
    planes = [(x if x.ndim == 4 else x[None])[:, 0].mean(0) for x in inputs]
    low, high = min(x.min() for x in planes), max(x.max() for x in planes)
    # the first channel alone is drawn: "correlation, -1 to 1, then dB of power" has two units
    unit = reading.unit.partition(", then ")[0]
    return _Shown(planes, float(low), float(high), ["viridis"], unit, is_plot=True)


def _seen(inputs: Inputs, reading: Reading) -> _Shown:
    from matplotlib.colors import LinearSegmentedColormap

    if reading.reads != "events":
        levels = [np.clip(x, 0, 255).round().astype(np.uint8) for x in inputs]
        pictures = [as_picture(x, events=False) for x in levels]
        grey = [255 * x if x.ndim == 2 else x for x in pictures]
        return _Shown(grey, 0, 255, ["gray"], reading.unit, is_plot=False)
    counts = [np.maximum(x, 0) for x in inputs]
    # one full ink for all levels: noise events must not make the clip's own ones fade unseen
    full = max(full_ink(x) for x in counts)
    pictures = [as_picture(x, events=True, full=full) for x in counts]
    channels = counts[0].shape[-3]
    inks = POLARITIES if channels == 2 else ("#000000",)
    bars = [LinearSegmentedColormap.from_list(ink, ("#FFFFFF", ink)) for ink in inks]
    meaning = "events, darker and brighter" if channels == 2 else "events"
    return _Shown(pictures, 0, full, bars, meaning, is_plot=False)
