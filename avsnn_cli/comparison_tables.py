"""The table of a comparison: its cells by column, and what its numbers rest on."""

from typing import Any

from avsnn_cli.formats import laid_out

Rows = list[dict[str, Any]]
DOA_COLUMNS = (
    ("MAE °", "mae_deg", 1, 2), ("< 2.5° %", "below_2_5_deg", 100, 1),
    ("≤ 5° %", "up_to_5_deg", 100, 1),
)  # fmt: skip


def as_text(rows: Rows, style: str) -> str:
    """Lay a comparison out. style: of formats.FORMATS. Raises UsageError for another."""
    return laid_out(cells(rows), notes(rows), style)


def cells(rows: Rows) -> list[dict[str, str]]:
    """Return the cells by column, the same columns in every row, none of them empty."""
    every = [_cells(row) for row in rows]
    columns = dict.fromkeys(name for row in every for name in row)
    filled = [name for name in columns if any(row.get(name) for row in every)]
    return [{name: row.get(name, "") for name in filled} for row in every]


def _cells(row: dict[str, Any]) -> dict[str, str]:
    levels = {name: _spread(found["mean"], found["sd"]) for name, found in row["noise"].items()}
    doa = {
        name: f"{scale * row['doa'][key]['mean']:.{digits}f}"
        for name, key, scale, digits in DOA_COLUMNS if row["doa"]
    }  # fmt: skip
    said = row["published"]
    impossible = " (no k/n gives it)" if said and said["possible"] is False else ""
    return {
        "system": row["system"],
        "accuracy %": _spread(row["accuracy"], row["sd"]),
        "seeds": str(len(row["seeds"])),
        "n": str(row["n"]),
        "p against best": "" if row["mcnemar_p"] is None else f"{row['mcnemar_p']:.2g}",
        "paper %": f"{said['accuracy_percent']:g}{impossible}" if said else "",
        **doa,
        **levels,
    }


def _spread(mean: float, sd: float | None) -> str:
    return f"{100 * mean:.2f}" + ("" if sd is None else f" ± {100 * sd:.2f}")


def notes(rows: Rows) -> list[str]:
    """Say what the numbers rest on: once for all rows, and of the paper's for each."""
    found = dict.fromkeys(
        f"{row['dataset']} ({row['protocol']}), test n = {row['n']}, {row['selection']}, "
        f"seeds {', '.join(map(str, row['seeds']))}" for row in rows
    )  # fmt: skip
    notes = list(found)
    if any(row["sd"] is not None for row in rows):
        notes.append("mean ± sd over seeds")
    if any(row["mcnemar_p"] is not None for row in rows):
        notes.append("p: McNemar's exact test on the same clips, the largest over the seeds")
    for row in rows:
        if said := row["published"]:
            notes.append(f"{row['system']}: {said['accuracy_percent']:g} % in {said['source']}, "
                         f"{said['protocol']}")  # fmt: skip
    return notes
