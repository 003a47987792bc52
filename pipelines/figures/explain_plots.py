"""The figures of an explanation: cosine distances, Grad-CAM++ over the picture, spike rasters.

Each draw_… function returns its figure, in the look of plot_style.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipelines.figures.ground import LIGHT, ground
from pipelines.figures.labels import shorten, wrap, wrap_apart
from pipelines.figures.plot_style import headline, new_figure, paper_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Picture = NDArray[np.floating[Any]]
# ink of an event camera's channels, on white paper whatever the ground: 0 darker, 1 brighter
POLARITIES = LIGHT.curves[:2]
POLARITIES_NOTE = "events: blue darker, vermilion brighter, dark both"
# colours of a map, never dark, and how much of them a black pixel of the input takes away
HEAT, SHADE = ("#FFFFE5", "#FECC5C", "#FD8D3C", "#E31A1C"), 0.65


class Raster(NamedTuple):
    """Spikes of a layer: (T, shown) bool, of the neurons with these numbers, rising.

    size: neurons of the layer. firing: how many of them fire at all. rate: share of the layer's
    neuron-steps that spike, in 0-1.
    """

    layer: str
    spikes: NDArray[np.bool_]
    neurons: NDArray[np.int64]
    size: int
    firing: int
    rate: float


class CamRow(NamedTuple):
    """One clip: its class, its picture, (H, W) or (H, W, 3) in 0..1, and a map a run.

    maps: (h, w) in 0..1. predicted: the class that each run gives it.
    """

    name: str
    picture: Picture
    maps: list[Picture]
    predicted: list[str]


def as_picture(x: NDArray[Any], *, events: bool, full: float | None = None) -> Picture:
    """Show a cached visual input, (C, H, W) or (T, C, H, W): (H, W) grey or (H, W, 3), in 0..1.

    Events are summed over time, on white, deeper for more: darker blue and brighter vermilion, or
    black where there is one channel; full: the events of full colour, else `full_ink`.
    Of several frames the middle one is shown. 8-bit levels are shown as they are, anything else
    from its least to its largest value; of other than 3 channels, their mean.
    """
    if events:
        return _events(_summed(x), full_ink(x) if full is None else full)
    frame = x[len(x) // 2] if x.ndim == 4 else x
    levels = frame.astype(np.float64)
    if frame.dtype == np.uint8:
        levels = levels / 255
    else:
        low, high = levels.min(), levels.max()
        levels = (levels - low) / (high - low if high > low else 1)
    return np.moveaxis(levels, 0, -1) if len(levels) == 3 else levels.mean(0)


def full_ink(x: NDArray[Any]) -> float:
    """Return the 99th percentile of the counts of those pixels that have events, 1 for none.

    x: events (C, H, W) or (T, C, H, W), summed over time.
    """
    counts = _summed(x)
    filled = counts[counts > 0]
    return float(np.percentile(filled, 99)) if filled.size else 1.0


def _summed(x: NDArray[Any]) -> Picture:
    total: Picture = x.reshape(-1, *x.shape[-3:]).sum(0, dtype=np.float64)
    return total


def _events(counts: Picture, full: float) -> Picture:
    """counts: (C, H, W). full: the count of full colour."""
    from matplotlib.colors import to_rgb

    colours = POLARITIES if len(counts) == 2 else ("#000000",) * len(counts)
    strength = np.clip(counts / full, 0, 1)
    inks = 1 - np.array([to_rgb(colour) for colour in colours])
    # inks on paper: each takes its own share of the white, and both together are dark
    left: Picture = np.prod(1 - strength[..., None] * inks[:, None, None], axis=0)
    return left


@paper_style()
def draw_distances(
    matrix: Picture, labels: NDArray[Any], class_names: Sequence[str], title: str, summary: str
) -> "Figure":
    """Draw cosine distances between clips that are sorted by class; lines part the classes.

    matrix: (N, N). labels: (N,) rising. Dark is near, yellow is far, up to the largest here.
    """
    figure = new_figure((5.0, 4.4) if len(class_names) <= 25 else (7.0, 6.2))
    axes = figure.subplots()
    n = len(labels)
    image = axes.imshow(
        matrix,
        cmap="viridis",
        vmin=0,
        vmax=max(float(matrix.max()), 1e-9),
        interpolation="nearest",
        extent=(0, n, n, 0),
    )
    present, starts, sizes = np.unique(labels, return_index=True, return_counts=True)
    for edge in starts[1:].tolist():
        axes.axhline(edge, color="white", linewidth=0.5)
        axes.axvline(edge, color="white", linewidth=0.5)
    axes.spines[:].set_visible(True)
    centres = starts + sizes / 2
    names = [shorten(class_names[label], 24) for label in present]
    size = 7.5 if len(names) <= 12 else 6.5 if len(names) <= 25 else 5.0
    short = max(map(len, names)) * len(names) <= 45
    turn: dict[str, Any] = (
        {} if short else {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
    )
    if len(names) <= 60:
        axes.set_xticks(centres, names, fontsize=size, **turn)
        axes.set_yticks(centres, names, fontsize=size)
    else:
        axes.set_xticks([])
        axes.set_yticks([])
    axes.tick_params(length=0)
    axes.set(xlabel="test clips, by class", ylabel="test clips, by class")
    bar = figure.colorbar(image, ax=axes, shrink=0.7, aspect=28, pad=0.02)
    bar.set_label("cosine distance")
    headline(figure, title, summary)
    return figure


@paper_style()
def draw_cams(
    rows: Sequence[CamRow], columns: Sequence[str], title: str, note: str = ""
) -> "Figure":
    """Draw a row a clip: the input, then each run's map in colour, in the shades of the input.

    columns: the runs' names. Below the map of a wrong answer stands its class.
    note: a line below the title.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap

    colours = LinearSegmentedColormap.from_list("heat", HEAT)
    side = 1.17
    tall = max(row.picture.shape[0] / row.picture.shape[1] for row in rows)
    figure = new_figure(
        (max(2.9, 0.9 + side * (1 + len(columns))), 0.75 + max(0.4, side * tall) * len(rows))
    )
    panels = figure.subplots(len(rows), 1 + len(columns), squeeze=False)
    for axes, head in zip(panels[0], wrap_apart(("input", *columns), 18, 3), strict=True):
        axes.set_title(head, fontsize=7.5)
    for row, axes in zip(rows, panels, strict=True):
        axes[0].set_ylabel(wrap(shorten(row.name, 24), 12, 2), rotation=0, ha="right", va="center")
        _show(axes[0], row.picture)
        grey = row.picture.mean(-1) if row.picture.ndim == 3 else row.picture
        for panel, heat, predicted in zip(axes[1:], row.maps, row.predicted, strict=True):
            _show(panel, grey)
            edges = (-0.5, grey.shape[1] - 0.5, grey.shape[0] - 0.5, -0.5)
            panel.imshow(heat, cmap=colours, vmin=0, vmax=1, interpolation="bilinear", extent=edges)
            # over the map, so that the shades of the input stay visible in it
            panel.imshow(_shades(grey), interpolation="nearest")
            if predicted != row.name:
                panel.set_xlabel(
                    f"predicted {shorten(predicted, 16)}",
                    fontsize=6.5,
                    color=ground().muted,
                    labelpad=2,
                )
    if columns:
        bar = figure.colorbar(
            ScalarMappable(cmap=colours),
            ax=panels,
            aspect=24,
            pad=0.02,
            shrink=min(1.0, 2 / len(rows)),
        )
        bar.set_label("Grad-CAM++, share of the largest")
    headline(figure, *_lines(title, figure), *_lines(note, figure))
    return figure


@paper_style()
def draw_rasters(rasters: Sequence[Raster], title: str) -> "Figure":
    """Draw the spikes of each layer: time steps to the right, a row a neuron, a dash a spike."""
    across = min(3, len(rasters))
    down = -(-len(rasters) // across)
    figure = new_figure((7.0 * across / 3 if across > 1 else 3.4, 0.6 + 1.75 * down))
    panels = figure.subplots(down, across, squeeze=False)
    for axes, raster in zip(panels.flat, rasters, strict=False):
        _draw_raster(axes, raster)
    for axes in panels.flat[len(rasters) :]:
        axes.set_visible(False)
    figure.supxlabel("time step", fontsize=8)
    figure.supylabel("neurons that fire, at most 64 of a layer", fontsize=8)
    headline(figure, *_lines(title, figure))
    return figure


def distances_summary(summary: Mapping[str, Any], shown: int, n: int) -> str:
    """Return one line: mean distances within and between classes, and the number of clips drawn."""
    names = {"within": "within classes", "between": "between"}
    parts = [
        f"{text} {summary[name]:.3f}" for name, text in names.items() if summary[name] is not None
    ]
    clips = f"{n} clips" if shown == n else f"{n} clips, {shown} of them drawn by seed"
    return ", ".join([*parts, clips])


def _draw_raster(axes: "Axes", raster: Raster) -> None:
    steps, shown = raster.spikes.shape
    axes.set_title(
        f"{shorten(raster.layer, 40)}\n{raster.firing} of {raster.size} fire, "
        f"rate {100 * raster.rate:.2g} %",
        fontsize=6,
        loc="left",
    )
    time, neuron = np.nonzero(raster.spikes)
    axes.hlines(neuron, time + 0.55, time + 1.45, color=ground().curves[0], linewidth=0.9)
    if not shown:
        axes.text(
            0.5,
            0.5,
            "silent",
            transform=axes.transAxes,
            ha="center",
            va="center",
            color=ground().muted,
        )
    axes.set(xlim=(0.5, steps + 0.5), ylim=(-1, max(shown, 1)))
    every = -(-steps // 8)
    axes.set_xticks(range(1, steps + 1, every))
    axes.set_yticks([])


def _show(axes: "Axes", picture: Picture) -> None:
    axes.imshow(picture, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(True)
    axes.spines[:].set_color(ground().muted)


def _shades(grey: Picture) -> Picture:
    """Turn a grey picture (H, W) into black that lets its lighter pixels through: (H, W, 4)."""
    black = np.zeros((*grey.shape, 4))
    black[..., 3] = SHADE * (1 - grey)
    return black


def _lines(title: str, figure: "Figure") -> list[str]:
    """Break a title for a figure that may be narrower than a column."""
    return wrap(title, max(24, int(15 * figure.get_figwidth())), 3).split("\n")
