"""Accuracy over signal-to-noise ratio as a picture: one line a curve, with its band."""

import dataclasses
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.figures.ground import ground
from pipelines.figures.labels import wrap_apart
from pipelines.figures.plot_style import (
    COLUMN_INCHES,
    LINES,
    MARKERS,
    finite,
    fraction,
    headline,
    new_figure,
    paper_style,
)
from pipelines.recipe.noise import EVENT_UNITS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class NoiseCurve:
    """One method's accuracy over SNR, or over levels of another noise, as fractions in 0..1.

    snr_db: those levels, in the unit of the axis they are drawn on. low, high: the band at each, a
    Wilson interval or mean ± sd. clean: accuracy without noise.
    chance: accuracy of guessing.
    """

    label: str
    snr_db: list[float]
    accuracy: list[float]
    low: list[float]
    high: list[float]
    clean: float | None = None
    chance: float | None = None


@dataclass(frozen=True)
class LevelAxis:
    """What the levels of the curves are: a name with its unit, and whether more is more noise."""

    name: str
    is_noise: bool


SNR = LevelAxis("SNR (dB)", is_noise=False)


def event_axis(kind: str) -> LevelAxis:
    """Return the axis of a kind of noise on events."""
    return LevelAxis(EVENT_UNITS[kind], is_noise=True)


@dataclass(frozen=True)
class _End:
    """What a label at the right names: the end of a curve at x, y in data units."""

    text: str
    x: float
    y: float
    look: dict[str, Any]


@paper_style()
def draw_noise(
    curves: Sequence[NoiseCurve], title: str = "", level_axis: LevelAxis = SNR
) -> "Figure":
    """Draw accuracy in percent over the level, the noisy end left, clean behind an axis break.

    Each curve has its colour, marker, line style, shaded band, and its name at its right end;
    chance is dotted. The axis starts at 0 % unless everything lies above 50 %. Raises ValueError
    where there is no curve, a list is empty or of another length, an SNR repeats, or a number is
    not finite, not in 0..1 or outside its own band.
    """
    curves = [_checked(curve) for curve in curves]
    if level_axis.is_noise:  # the noisy end is left all the same: drawn at -level
        curves = [_mirrored(curve) for curve in curves]
    if not curves:
        raise ValueError("no noise curve to draw")
    figure = new_figure(COLUMN_INCHES)
    axes = figure.subplots()
    levels = sorted({level for curve in curves for level in curve.snr_db})
    has_clean = any(curve.clean is not None for curve in curves)
    span = levels[-1] - levels[0]
    margin, gap = (0.04 * span, 0.15 * span) if span else (0.5, 1.0)
    clean_x = levels[-1] + gap
    left, right = levels[0] - margin, (clean_x if has_clean else levels[-1]) + margin
    labels_x = right + 0.045 * (right - left)
    bottom, top = _percent_limits(curves)
    axes.set(xlim=(left, right), ylim=(bottom, top + 0.02 * (top - bottom)))
    axes.set(xlabel=level_axis.name, ylabel="accuracy (%)")
    headline(figure, title)
    axes.grid(axis="y")
    names = wrap_apart([curve.label for curve in curves], 22, 3)
    ends = [
        _draw_curve(axes, k, curve, name, clean_x)
        for k, (curve, name) in enumerate(zip(curves, names, strict=True))
    ]
    for chance in sorted({100 * curve.chance for curve in curves if curve.chance is not None}):
        axes.axhline(chance, color=ground().muted, linestyle=":", linewidth=1.0)
        ends.append(_chance_end(chance, bottom, right, labels_x))
    _name_levels(axes, levels, clean_x if has_clean else None, -1 if level_axis.is_noise else 1)
    if has_clean:
        _break_axis(axes, levels[-1] + gap / 2, 0.01 * (right - left))
    _label_ends(figure, axes, ends, labels_x)
    return figure


def _checked(curve: NoiseCurve) -> NoiseCurve:
    """Return the curve with its levels rising."""
    name = f"noise curve {curve.label!r}"
    columns = (curve.snr_db, curve.accuracy, curve.low, curve.high)
    if not curve.snr_db or len({len(column) for column in columns}) != 1:
        raise ValueError(f"{name}: snr_db, accuracy, low and high need one value a level")
    for level, accuracy, low, high in zip(*columns, strict=True):
        where = f"{name} at {finite(level, f'{name}: snr_db'):g} dB"
        fraction(accuracy, f"{where}: accuracy")
        low, high = finite(low, f"{where}: low"), finite(high, f"{where}: high")
        if not low - 1e-9 <= accuracy <= high + 1e-9:
            raise ValueError(f"{where}: accuracy {accuracy} lies outside its band {low}..{high}")
    for what, value in (("clean", curve.clean), ("chance", curve.chance)):
        if value is not None:
            fraction(value, f"{name}: {what}")
    if len(set(curve.snr_db)) != len(curve.snr_db):
        raise ValueError(f"{name}: an SNR stands twice in {curve.snr_db}")
    levels, accuracies, lows, highs = map(
        list, zip(*sorted(zip(*columns, strict=True)), strict=True)
    )
    return dataclasses.replace(curve, snr_db=levels, accuracy=accuracies, low=lows, high=highs)


def _mirrored(curve: NoiseCurve) -> NoiseCurve:
    """Return the curve at the negated levels, rising again."""
    return dataclasses.replace(
        curve,
        snr_db=[-level for level in reversed(curve.snr_db)],
        accuracy=curve.accuracy[::-1],
        low=curve.low[::-1],
        high=curve.high[::-1],
    )


def _percent_limits(curves: Sequence[NoiseCurve]) -> tuple[float, float]:
    shown = [value for curve in curves for value in (*curve.low, *curve.high)]
    shown += [curve.clean for curve in curves if curve.clean is not None]
    lowest, highest = 100 * min(shown), 100 * max(shown)
    # Methods that all stay near the top could not be told apart on a scale that starts at 0.
    step = 5 if lowest >= 90 else 10
    bottom = step * math.floor((lowest - 1) / step) if lowest > 50 else 0
    return bottom, min(100, 10 * math.ceil((highest + 2) / 10))


def _draw_curve(axes: "Axes", k: int, curve: NoiseCurve, name: str, clean_x: float) -> _End:
    colour = ground().curves[k % len(ground().curves)]
    look: dict[str, Any] = {
        "color": colour,
        "marker": MARKERS[k % len(MARKERS)],
        "markeredgecolor": ground().page,
        "markeredgewidth": 0.5,
        "zorder": 4 + 0.01 * k,
    }
    low, high = (np.clip(band, 0, 1) * 100 for band in (curve.low, curve.high))
    axes.fill_between(
        curve.snr_db, low, high, facecolor=(colour, 0.15), edgecolor=(colour, 0.4), linewidth=0.4
    )
    middle = [100 * value for value in curve.accuracy]
    axes.plot(curve.snr_db, middle, linestyle=LINES[k % len(LINES)], label=curve.label, **look)
    if curve.clean is None:
        return _End(name, curve.snr_db[-1], middle[-1], look)
    axes.plot([clean_x], [100 * curve.clean], linestyle="", label=f"{curve.label}, clean", **look)
    return _End(name, clean_x, 100 * curve.clean, look)


def _chance_end(chance: float, bottom: float, right: float, labels_x: float) -> _End:
    if chance >= bottom:
        return _End(f"chance {chance:.3g} %", right, chance, {"color": ground().muted})
    return _End(
        f"chance {chance:.3g} %\n(below the axis)", labels_x, bottom, {"color": ground().muted}
    )


def _name_levels(axes: "Axes", levels: Sequence[float], clean_x: float | None, sign: int) -> None:
    from matplotlib.ticker import MaxNLocator

    ticks = list(levels)
    if len(ticks) > 10:
        round_numbers = MaxNLocator(8, steps=[1, 2, 5, 10]).tick_values(levels[0], levels[-1])
        ticks = [float(tick) for tick in round_numbers if levels[0] <= tick <= levels[-1]]
    # + 0.0: -1 times 0 is 0 to a reader
    names = [f"{sign * tick + 0.0:g}".replace("-", "−") for tick in ticks]
    if clean_x is not None:
        ticks, names = [*ticks, clean_x], [*names, "clean"]
    axes.set_xticks(ticks, names)


def _break_axis(axes: "Axes", x: float, half_gap: float) -> None:
    left, right = axes.get_xlim()
    ink: dict[str, Any] = {
        "color": ground().ink,
        "transform": axes.get_xaxis_transform(),
        "clip_on": False,
    }
    axes.spines["bottom"].set_bounds(left, x - half_gap)
    axes.plot([x + half_gap, right], [0, 0], linewidth=0.5, **ink)
    for edge in (x - half_gap, x + half_gap):
        slash = [edge - half_gap / 2, edge + half_gap / 2]
        axes.plot(slash, [-0.018, 0.018], linewidth=0.6, **ink)


def _label_ends(figure: "Figure", axes: "Axes", ends: Sequence[_End], x: float) -> None:
    texts = [
        axes.annotate(
            end.text,
            (x, end.y),
            (5, 0),
            textcoords="offset points",
            va="center",
            annotation_clip=False,
            # chance has no marker: its text has its colour, which stands back
            color=end.look["color"] if len(end.look) == 1 else ground().ink,
        )
        for end in ends
    ]
    # The width of the text decides the layout; only then is its height in percent known.
    figure.draw_without_rendering()
    bottom, top = axes.get_ylim()
    percent_per_pixel = (top - bottom) / axes.bbox.height
    heights = [1.1 * text.get_window_extent().height * percent_per_pixel for text in texts]
    places = _spread([end.y for end in ends], heights, bottom, top)
    for text, end, place in zip(texts, ends, places, strict=True):
        text.xy = (x, place)
        leader = [end.y, place]
        axes.plot([end.x, x], leader, color=end.look["color"], linewidth=0.5, clip_on=False)
        axes.plot([x], [place], linestyle="", clip_on=False, **end.look)


def _spread(
    targets: Sequence[float], heights: Sequence[float], low: float, high: float
) -> list[float]:
    """Move labels as little as possible (least squares) until none overlaps, within low..high."""
    order = sorted(range(len(targets)), key=lambda k: targets[k])
    tall = [heights[k] for k in order]
    offsets = [0.0, *itertools.accumulate((a + b) / 2 for a, b in itertools.pairwise(tall))]
    blocks: list[list[float]] = []
    for k, offset in zip(order, offsets, strict=True):
        blocks.append([targets[k] - offset])
        while len(blocks) > 1 and np.mean(blocks[-2]) > np.mean(blocks[-1]):
            blocks[-2:] = [blocks[-2] + blocks[-1]]
    pooled = [float(np.mean(block)) for block in blocks for _ in block]
    ceiling = max(low, high - offsets[-1])
    placed = [min(max(p, low), ceiling) + o for p, o in zip(pooled, offsets, strict=True)]
    return [place for _, place in sorted(zip(order, placed, strict=True))]
