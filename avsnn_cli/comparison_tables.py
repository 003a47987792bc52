"""The table of a comparison: its cells by column, and what its numbers rest on."""

from typing import Any

from avsnn_cli.formats import laid_out
from avsnn_cli.layout import TableRows

# column, key of the azimuth's errors, factor, decimals
DOA_COLUMNS = (
    ("MAE °", "mae_deg", 1, 2),
    ("< 2.5° %", "below_2_5_deg", 100, 1),
    ("≤ 5° %", "up_to_5_deg", 100, 1),
)


def as_text(rows: TableRows, style: str) -> str:
    """Lay a comparison out. style: of formats.FORMATS. Raises UsageError for another."""
    return laid_out(cells(rows), notes(rows), style)


def cells(rows: TableRows) -> list[dict[str, str]]:
    """Return the cells by column: the same columns in every row, and none that is all empty."""
    every = [_cells(row) for row in rows]
    columns = dict.fromkeys(name for row in every for name in row)
    filled = [name for name in columns if any(row.get(name) for row in every)]
    return [{name: row.get(name, "") for name in filled} for row in every]


def _cells(row: dict[str, Any]) -> dict[str, str]:
    levels = {
        level: _spread(of_runs["mean"], of_runs["sd"]) for level, of_runs in row["noise"].items()
    }
    doa = {
        column: f"{factor * row['doa'][key]['mean']:.{digits}f}"
        for column, key, factor, digits in DOA_COLUMNS
        if row["doa"]
    }
    published = row["published"]
    # a percentage that no number of hits among the paper's n clips gives
    impossible = " (no k/n gives it)" if published and published["possible"] is False else ""
    return {
        "system": row["system"],
        "accuracy %": _spread(row["accuracy"], row["sd"]),
        "seeds": str(len(row["seeds"])),
        "n": str(row["n"]),
        "p against best": "" if row["mcnemar_p"] is None else f"{row['mcnemar_p']:.2g}",
        "paper %": f"{published['accuracy_percent']:g}{impossible}" if published else "",
        **doa,
        **levels,
    }


def _spread(mean: float, sd: float | None) -> str:
    return f"{100 * mean:.2f}" + ("" if sd is None else f" ± {100 * sd:.2f}")


def notes(rows: TableRows) -> list[str]:
    """List what the numbers rest on: once for equal rows, and each paper's source and protocol."""
    # a dict, so that systems on the same test set share one line
    shared = dict.fromkeys(
        f"{row['dataset']} ({row['protocol']}), test n = {row['n']}, {row['selection']}, "
        f"seeds {', '.join(map(str, row['seeds']))}"
        for row in rows
    )
    notes = list(shared)
    if any(row["sd"] is not None for row in rows):
        notes.append("mean ± sd over seeds")
    if any(row["mcnemar_p"] is not None for row in rows):
        notes.append("p: McNemar's exact test on the same clips, the largest over the seeds")
    for row in rows:
        if published := row["published"]:
            notes.append(
                f"{row['system']}: {published['accuracy_percent']:g} % in {published['source']}, "
                f"{published['protocol']}"
            )
    return notes
