"""The figures of one run: its confusion matrix, its training, its azimuths.

Each draw_… function returns its figure, in the look of plot_style.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.disk import store
from pipelines.errors import DataError
from pipelines.figures.confusion_plot import draw_confusion
from pipelines.figures.ground import ground
from pipelines.figures.plot_style import COLUMN_INCHES, headline, new_figure, paper_style
from pipelines.figures.training_plot import draw_training
from pipelines.reports.compare import Result
from pipelines.results import run_files, schemas

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SECTOR_DEG = 30
SECTORS = 360 // SECTOR_DEG


def draw_run_confusion(result: Result) -> "Figure":
    """Draw the confusion matrix of one run; raises ValueError if it is not one of counts."""
    evaluation = result.evaluation
    names = [str(row["class"]) for row in evaluation["per_class"]]
    return draw_confusion(evaluation["confusion"], names, f"{result.recipe}, seed {result.seed}")


def draw_run_training(run: Path) -> "Figure":
    """Draw losses and validation accuracy by epoch from a run's metrics.jsonl.

    The epoch that trained.json names is marked. Raises DataError if a file is missing or damaged.
    """
    path = run / "metrics.jsonl"
    trained = run_files.read_result(run / "trained.json", schemas.Trained)
    selected = trained["selected"]["epoch"]
    try:
        if "metrics_sha256" in trained and store.sha256(path) != trained["metrics_sha256"]:
            raise ValueError("it has another hash than when training ended")
        history = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        return draw_training(history, selected)
    except (
        OSError,
        ValueError,
        TypeError,
        AttributeError,
        KeyError,
        OverflowError,
        RecursionError,
    ) as error:
        raise DataError(f"cannot read {path}: {error}", "train the run again") from error


@paper_style()
def draw_doa_by_azimuth(
    azimuths_deg: Mapping[str, float], true_azimuths_deg: Mapping[str, float], title: str = ""
) -> "Figure":
    """Draw the mean absolute error on the circle by true azimuth, a bar for each 30°.

    azimuths_deg, true_azimuths_deg: by clip, in degrees. A bar is named by its middle: 0° is from
    -15° to below 15°; below it stands its number of clips. A sector without clips has no bar. The
    dashed line is the mean over all clips. Raises ValueError if the clips differ or there is none.
    """
    counts, means, mean = errors_by_sector(azimuths_deg, true_azimuths_deg)
    figure = new_figure(COLUMN_INCHES)
    axes = figure.subplots()
    there = np.flatnonzero(counts)
    axes.bar(there, means[there], width=0.8, color=ground().curves[0], alpha=0.75)
    axes.axhline(mean, color=ground().ink, linestyle="--", linewidth=0.9)
    axes.annotate(
        f"all: {mean:.3g}°",
        (1, mean),
        (4, 0),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        va="center",
        annotation_clip=False,
    )
    names = [f"{SECTOR_DEG * sector}°\n({n})" for sector, n in enumerate(counts)]
    axes.set_xticks(range(SECTORS), names)
    # bars of zero height, of a network without error, still need an axis
    top = 1.12 * max(float(means[there].max()), mean) or 1.0
    axes.set(
        xlim=(-0.6, SECTORS - 0.4),
        ylim=(0, top),
        xlabel="true azimuth ± 15° (clips)",
        ylabel="mean absolute error (°)",
    )
    axes.grid(axis="y")
    headline(figure, title)
    return figure


def errors_by_sector(
    azimuths_deg: Mapping[str, float], true_azimuths_deg: Mapping[str, float]
) -> tuple[Any, Any, float]:
    """Return clips (12,) and mean error (12,) in degrees of each sector, and the mean of all.

    The mean of a sector without clips is nan. Raises ValueError as draw_doa_by_azimuth does.
    """
    clips = sorted(true_azimuths_deg)
    if not clips or clips != sorted(azimuths_deg):
        raise ValueError("azimuths and true azimuths are not of the same clips, or of none")
    true = np.array([true_azimuths_deg[clip] for clip in clips], np.float64)
    estimated = np.array([azimuths_deg[clip] for clip in clips], np.float64)
    error = np.abs((estimated - true + 180) % 360 - 180)
    sectors = ((true + SECTOR_DEG / 2) // SECTOR_DEG).astype(int) % SECTORS
    counts = np.bincount(sectors, minlength=SECTORS)
    sums = np.bincount(sectors, weights=error, minlength=SECTORS)
    with np.errstate(invalid="ignore"):
        return counts, sums / counts, float(error.mean())
