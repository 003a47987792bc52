"""The figures of a comparison: systems over noise, ablations, one setting, and each run's own.

Each draw_… function returns its figure, in the look of plot_style. rows: of compare.compare;
results: of compare.read. Accuracies are drawn in percent.
"""

import numbers
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pipelines.figures.ground import ground
from pipelines.figures.labels import wrap_apart
from pipelines.figures.noise_plot import SNR, LevelAxis, NoiseCurve, draw_noise
from pipelines.figures.plot_style import COLUMN_INCHES, headline, new_figure, paper_style
from pipelines.recipe.differences import differing
from pipelines.reports.compare import Result
from pipelines.reports.system_names import names_apart
from pipelines.results.metrics import wilson_interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Row = Mapping[str, Any]


def draw_noise_curves(
    rows: Sequence[Row],
    modality: str = "both",
    title: str = "",
    chance: float | None = None,
    level_axis: LevelAxis = SNR,
) -> "Figure":
    """Draw the mean accuracy over the level, one line a system, clean at the right.

    Bands are mean ± sd over the seeds, or a 95 % Wilson interval for one seed. modality: which
    input had the white noise, or the kind of noise on events, with its level_axis; rows without
    such a sweep are left out. chance: accuracy of guessing.
    Raises ValueError if no row has one.
    """
    swept_rows = [row for row in rows if noise_points(row, modality)]
    names, shared = names_apart(swept_rows)
    curves = []
    for row, name in zip(swept_rows, names, strict=True):
        points = noise_points(row, modality)
        means = [mean for mean, _ in points.values()]
        bands = [interval(mean, sd, row["n"]) for mean, sd in points.values()]
        lows, highs = map(list, zip(*bands, strict=True))
        curves.append(NoiseCurve(name, list(points), means, lows, highs, row["accuracy"], chance))
    return draw_noise(curves, "; ".join(filter(None, (title, shared))), level_axis)


@paper_style()
def draw_bars(rows: Sequence[Row], title: str = "") -> "Figure":
    """Draw one bar a system from 0 %, the first on top; dots are seeds, a diamond is the paper.

    Error bars are mean ± sd over the seeds, or a 95 % Wilson interval for one seed. Raises
    ValueError if there is no row.
    """
    if not rows:
        raise ValueError("no system to draw")
    figure = new_figure((COLUMN_INCHES[0], 0.9 + 0.36 * len(rows)))
    axes = figure.subplots()
    blue, vermilion, *_ = ground().curves
    places = range(len(rows))
    means = [100 * row["accuracy"] for row in rows]
    axes.barh(places, means, height=0.6, color=blue, alpha=0.55, label="ours, mean")
    for place, mean, row in zip(places, means, rows, strict=True):
        low, high = (100 * end for end in interval(row["accuracy"], row["sd"], row["n"]))
        ends = [[mean - low], [high - mean]]
        axes.errorbar(mean, place, xerr=ends, color=ground().ink, capsize=2.5, linewidth=0.9)
        if len(row["accuracies"]) > 1:
            seeds = [100 * accuracy for accuracy in row["accuracies"]]
            edge: dict[str, Any] = {"markeredgecolor": ground().page, "markeredgewidth": 0.4}
            # beside the error bar, which they would hide
            axes.plot(seeds, [place + 0.2] * len(seeds), "o", color=blue, markersize=3, **edge)
        axes.annotate(
            _plus_minus(row),
            (1, place),
            (4, 0),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            va="center",
        )
    published = [
        (row["published"]["accuracy_percent"], place)
        for place, row in enumerate(rows)
        if row["published"]
    ]
    if published:
        percents, published_places = zip(*published, strict=True)
        axes.plot(
            percents,
            published_places,
            "D",
            color=vermilion,
            markerfacecolor=ground().page,
            label="paper",
        )
        figure.legend(loc="outside lower center", ncols=2, frameon=False)
    names, shared = names_apart(rows)
    axes.set_yticks(places, wrap_apart(names, 34, 2))
    axes.set(xlim=(0, 100), ylim=(len(rows) - 0.5, -0.5), xlabel="test accuracy (%)")
    axes.grid(axis="x")
    headline(figure, "; ".join(filter(None, (title, shared))))
    return figure


@paper_style()
def draw_boxes(results: Sequence[Result], setting: str, title: str = "") -> "Figure":
    """Draw the accuracies over the seeds by one numeric setting, such as model.alpha.

    Box: quartiles and median; whiskers: the lowest and highest seed; each seed is a dot. Values
    rise from left to right, evenly spaced. Raises ValueError if the runs differ in more than this
    setting and the seed, or its value in one of them is not a number.
    """
    groups = accuracies_by(results, setting)
    figure = new_figure((max(COLUMN_INCHES[0], 0.2 * len(groups)), COLUMN_INCHES[1]))
    axes = figure.subplots()
    line = {"color": ground().ink, "linewidth": 0.8}
    axes.boxplot(
        list(groups.values()),
        positions=range(len(groups)),
        widths=0.45,
        whis=(0, 100),
        showfliers=False,
        patch_artist=True,
        boxprops={"facecolor": ground().box, **line},
        medianprops=line | {"color": ground().curves[1], "linewidth": 1.4},
        whiskerprops=line,
        capprops=line,
    )
    for place, seeds in enumerate(groups.values()):
        axes.plot(
            [place] * len(seeds), seeds, "o", color=ground().curves[0], markersize=3, zorder=4
        )
    is_crowded = len(groups) > 12
    gap = " " if is_crowded else "\n"
    axes.set_xticks(range(len(groups)), [f"{v:g}{gap}({len(s)})" for v, s in groups.items()])
    axes.tick_params(axis="x", rotation=90 if is_crowded else 0)
    axes.set(xlabel=f"{setting} (seeds)", ylabel="test accuracy (%)")
    axes.grid(axis="y")
    headline(figure, title)
    return figure


def noise_points(row: Row, modality: str) -> dict[float, tuple[float, float | None]]:
    """Return (mean, sd) by level, rising, of the sweep with white noise on this input, SNR in dB.

    modality: or a kind of noise on every input that is made of events, "drop" or "rate".
    """
    pattern = {"both": r"(\S+) dB", "drop": r"drop (\S+)", "rate": r"rate (\S+)"}
    level = pattern.get(modality, rf"{re.escape(modality)} (\S+) dB")
    points = {
        float(match[1]): (point["mean"], point["sd"])
        for name, point in row["noise"].items()
        if (match := re.fullmatch(level, name))
    }
    return dict(sorted(points.items()))


def interval(mean: float, sd: float | None, n: int) -> tuple[float, float]:
    """Return mean ± sd, or for one seed (sd None) the 95 % Wilson interval of n clips."""
    return wilson_interval(round(mean * n), n) if sd is None else (mean - sd, mean + sd)


def accuracies_by(results: Sequence[Result], setting: str) -> dict[float, list[float]]:
    """Return the accuracies in percent by the setting's value, rising, one for each seed.

    Raises ValueError as draw_boxes does.
    """
    names = set(differing([result.settings for result in results]))
    if names - {setting} or len({result.recipe for result in results}) != 1:
        raise ValueError(f"these {len(results)} runs do not differ in {setting} alone")
    by_value: dict[float, dict[int, float]] = {}
    for result in results:
        value = result.settings.get(setting)
        if value is None or not _is_number(value):
            raise ValueError(f"{setting} of {result.run} is {value!r}, not a number")
        percent = 100 * result.evaluation["accuracy"]
        by_value.setdefault(float(value), {}).setdefault(result.seed, percent)
    return {value: [seeds[s] for s in sorted(seeds)] for value, seeds in sorted(by_value.items())}


def swept(results: Sequence[Result]) -> str | None:
    """Return the one numeric setting in which runs of one recipe differ, None if there is none."""
    names = differing([result.settings for result in results])
    if len(names) != 1 or len({result.recipe for result in results}) != 1:
        return None
    (name,) = names
    return name if all(_is_number(result.settings.get(name)) for result in results) else None


def short_names(rows: Sequence[Row]) -> list[str]:
    """Name the systems without their recipes' folders, unless two would then be called the same."""
    parts = [row["system"].partition(" (") for row in rows]
    names = ["".join((head.rpartition("/")[2], *rest)) for head, *rest in parts]
    return names if len(set(names)) == len(rows) else [row["system"] for row in rows]


def _plus_minus(row: Row) -> str:
    sd = "" if row["sd"] is None else f" ± {100 * row['sd']:.2f}"
    return f"{100 * row['accuracy']:.2f}{sd}"


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)
