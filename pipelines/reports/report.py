"""A report: one HTML file of a comparison, its pictures, and what each run was made with.

It needs no network and runs no script. The same runs give the same bytes: no date of today, no
path, and the runs' order on the command line does not count.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.figures.noise_plot import SNR, event_axis
from pipelines.reports import html_page as html
from pipelines.reports.compare import Result
from pipelines.reports.comparison_plots import (
    Row,
    accuracies_by,
    draw_bars,
    draw_boxes,
    draw_noise_curves,
    noise_points,
    swept,
)
from pipelines.reports.report_runs import counted_and_explained, drawn, made_with, pictures_of

if TYPE_CHECKING:
    from markupsafe import Markup

# runs with their own pictures or settings, and bars in one picture: 0.2 MB each, 1.3 explained
DETAILED = 60
# more cannot be told apart
CURVES, BOXES = 10, 40
NOISE = {"both": "every input", "audio": "the audio input", "visual": "the visual input"}
EVENTS = {"drop": "events dropped at random", "rate": "noise events added at random"}


def page(
    results: Mapping[Path, Result],
    rows: Sequence[Row],
    cells: Sequence[Mapping[str, str]],
    notes: Sequence[str],
    left_out: Sequence[str] = (),
    advance: Callable[[str, int, int], None] = lambda *_: None,
) -> str:
    """Return the report as HTML.

    results: by the run's folder. rows: of compare.compare; cells, notes: the same as laid out for
    the table and below it. left_out: runs that are not evaluated. advance: called with
    the number of systems done. Raises DataError if a file of a run is not readable.
    """
    title = _title(rows)
    body = [html.element("h1", title), html.table(cells), html.listed(notes)]
    if left_out:
        text = f"Not evaluated, so left out: {', '.join(left_out)}."
        body.append(html.element("p", text, "note"))
    body += [*_noise(results, rows), *_bars(rows), *_boxes(list(results.values()))]
    body += _systems(results, rows, advance)
    body += _made_with(results, rows)
    return html.page(title, body)


def _title(rows: Sequence[Row]) -> str:
    data = ", ".join(sorted({f"{row['dataset']} ({row['protocol']})" for row in rows}))
    what = rows[0]["system"] if len(rows) == 1 else f"{len(rows)} systems"
    return f"{what} on {data}"


def _noise(results: Mapping[Path, Result], rows: Sequence[Row]) -> Iterator["Markup"]:
    classes = {len(result.evaluation.get("per_class", ())) for result in results.values()} - {0}
    chance = 1 / classes.pop() if len(classes) == 1 else None
    with_sweep = {
        kind: [row for row in rows if noise_points(row, kind)] for kind in (*NOISE, *EVENTS)
    }
    if any(with_sweep.values()):
        yield html.element("h2", "Accuracy over noise")
        yield html.pictures(_noise_pictures(with_sweep, chance))


def _noise_pictures(
    with_sweep: Mapping[str, Sequence[Row]], chance: float | None
) -> Iterator["Markup"]:
    for kind, having in with_sweep.items():
        if not having:
            continue
        if kind in NOISE:
            axis, title = SNR, f"White noise on {NOISE[kind]}"
            condition = f"with white noise on {NOISE[kind]}, by its SNR"
            over = f"SNR with noise on {NOISE[kind]}"
        else:
            axis, title = event_axis(kind), EVENTS[kind].capitalize()
            condition, over = f"with {EVENTS[kind]}, by level", f"{EVENTS[kind]}, {axis.name}"
        caption = (
            f"Test accuracy {condition}. "
            "Band: mean ± sd over seeds, or the 95 % Wilson interval of one seed."
        )
        if len(having) > CURVES:
            caption += f" The {CURVES} best of {len(having)} systems; the table has all."
        alt = f"Line chart of test accuracy over {over}: " + _accuracies(having[:CURVES])
        draw = partial(draw_noise_curves, having[:CURVES], kind, title, chance, axis)
        yield drawn(draw, alt, caption)


def _bars(rows: Sequence[Row]) -> Iterator["Markup"]:
    if len(rows) < 2:
        return
    caption = (
        "Test accuracy without noise. Error bar: mean ± sd over seeds, or the 95 % Wilson "
        "interval of one seed; dots: seeds."
    )
    if any(row["published"] for row in rows):
        caption += " Diamond: the paper's figure, with its own protocol (see below the table)."
    if len(rows) > DETAILED:
        caption += f" The {DETAILED} best of {len(rows)} systems."
    yield html.element("h2", "Systems side by side")
    alt = f"Bar chart of test accuracy: {_accuracies(rows[:DETAILED])}"
    yield html.pictures([drawn(partial(draw_bars, rows[:DETAILED]), alt, caption)])


def _boxes(results: Sequence[Result]) -> Iterator["Markup"]:
    setting = swept(results)
    if setting is None:
        return
    groups = accuracies_by(results, setting)
    if len(groups) > BOXES:
        return
    yield html.element("h2", f"Accuracy by {setting}")
    medians = ", ".join(f"{value:g}: {len(seeds)} seeds" for value, seeds in groups.items())
    picture = drawn(
        partial(draw_boxes, results, setting),
        f"Box plot of test accuracy by {setting} ({medians})",
        "Box: quartiles and median over the seeds; whiskers: lowest and highest; each dot a seed.",
    )
    yield html.pictures([picture])


def _systems(
    results: Mapping[Path, Result], rows: Sequence[Row], advance: Callable[[str, int, int], None]
) -> Iterator["Markup"]:
    folders = {result.run: folder for folder, result in results.items()}
    shown = rows[:DETAILED]
    yield html.element("h2", "Each system")
    if len(rows) > DETAILED:
        text = f"The {DETAILED} best of {len(rows)} systems; the table has all."
        yield html.element("p", text, "note")
    for number, row in enumerate(shown, 1):
        folder, *others = [folders[run] for run in row["runs"]]
        yield html.element("h3", row["system"])
        seeds = f", the first of {len(row['seeds'])} seeds" if len(row["seeds"]) > 1 else ""
        yield html.element("p", f"Run {folder.name}, seed {row['seeds'][0]}{seeds}.", "note")
        yield html.pictures(pictures_of(folder, results[folder]))
        yield from counted_and_explained([folder, *others])
        advance("report", number, len(shown))


def _made_with(results: Mapping[Path, Result], rows: Sequence[Row]) -> Iterator["Markup"]:
    systems = {run: row["system"] for row in rows for run in row["runs"]}
    order = list(systems)
    folders = {result.run: folder for folder, result in results.items()}
    yield html.element("h2", "What each run was made with")
    if len(order) > DETAILED:
        text = f"The first {DETAILED} of {len(order)} runs, in the order of the table."
        yield html.element("p", text, "note")
    for run in order[:DETAILED]:
        result = results[folders[run]]
        head = f"{run}: {systems[run]}, seed {result.seed}"
        yield html.folded(head, *made_with(folders[run], result))


def _accuracies(rows: Sequence[Row]) -> str:
    return ", ".join(f"{row['system']} {row['accuracy']:.2%}" for row in rows)
