"""Write docs/results.md, its pictures and its summary from results/table-*.json.

python benchmarks/show_tables.py
"""

import json
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from pipelines.figures.plot_style import write_both
from pipelines.reports.comparison_plots import draw_noise_curves, short_names

ROOT = Path(__file__).parent.parent
RESULTS, PAGE, IMAGES = ROOT / "benchmarks/results", ROOT / "docs/results.md", ROOT / "docs/images"
BEGIN, END = "<!-- summary of results -->", "<!-- end of summary -->"
MARK = "<!-- benchmarks/show_tables.py writes from here on -->"
SHOWN_DB = (20, 10, 0)
TITLES = {
    "spoken-digits": "MNIST × spoken digits",
    "n-mnist": "1,100 recordings of N-MNIST × spoken digits",
    "street-sounds": "160 clips of UrbanSound8K, images of ten other classes standing in",
    "array": "A simulated array in a room",
}
SHORT = {
    "spoken-digits": "MNIST × FSDD",
    "n-mnist": "N-MNIST × FSDD",
    "street-sounds": "160 street sounds",
}
PARTS = {
    "systems": "Systems",
    "ablations": "S-CMRL, with and without parts of CCSSA, no SAO",
    "more clips": "Four times the clips",
}
WAYS = {"peaks": "highest lag of each pair, least squares", "srp": "SRP-PHAT, every degree"}
Row = dict[str, Any]


def percent(share: Row | None) -> str:
    """Return the mean ± sd of a share in percent; nothing for None."""
    if share is None:
        return ""
    sd = "" if share["sd"] is None else f" ± {100 * share['sd']:.2f}"
    return f"{100 * share['mean']:.2f}{sd}"


def cells(row: Row, name: str) -> dict[str, str]:
    """Return the cells of one system: accuracy clean and under noise, and p."""
    noise = row["noise"]
    p = "best" if row["mcnemar_p"] is None else f"{row['mcnemar_p']:.2g}"
    line = {"system": name, "clean": percent({"mean": row["accuracy"], "sd": row["sd"]})}
    for level in SHOWN_DB:
        line[f"{level} dB"] = percent(noise.get(f"{level} dB") or noise.get(f"audio {level} dB"))
    line["p against best"] = p
    return line


def _rule(cells: Iterable[object]) -> str:
    """Return what aligns a column: to the right if it has figures."""
    return "---:" if all(str(cell)[:1].isdigit() for cell in cells) else "---"


def grid(rows: list[dict[str, str]]) -> list[str]:
    """Return the lines of a table in Markdown."""
    lines = [
        list(rows[0]),
        [_rule(row[name] for row in rows) for name in rows[0]],
        *(list(row.values()) for row in rows),
    ]
    return ["| " + " | ".join(line) + " |" for line in lines]


def azimuths(rows: list[Row]) -> list[dict[str, str]]:
    """Return the errors of azimuths, one line for each system and ratio."""
    lines = []
    for row, name in zip(rows, short_names(rows), strict=True):
        for level, errors in (("clean", row["doa"]), *row["noise_doa"].items()):
            mae = errors["mae_deg"]
            lines.append(
                {
                    "system": name,
                    "SNR": level.removeprefix("audio "),
                    "MAE °": f"{mae['mean']:.2f}" + (f" ± {mae['sd']:.2f}" if mae["sd"] else ""),
                    "< 2.5° %": percent(errors["below_2_5_deg"]),
                    "≤ 5° %": percent(errors["up_to_5_deg"]),
                }
            )
    return lines


def peak_cells(row: Row) -> dict[str, str]:
    """Return the cells of one way of using GCC-PHAT at one ratio."""
    return {
        "way": WAYS[row["way"]],
        "SNR": "clean" if row["snr_db"] is None else f"{row['snr_db']:g} dB",
        "MAE °": f"{row['mae_deg']:.2f}",
        "< 2.5° %": f"{100 * row['below_2_5_deg']:.2f}",
        "≤ 5° %": f"{100 * row['up_to_5_deg']:.2f}",
    }


def section(record: Row) -> list[str]:
    """Return the lines of one file: its sweeps as tables, a picture, date and machine."""
    name = record["table"]
    lines = [f"## {TITLES[name]}", ""]
    for sweep in record["sweeps"]:
        rows = sweep["rows"]
        part = sweep["part"]
        lines += [
            f"**{PARTS[part]}**",
            "",
            *grid([cells(row, short) for row, short in zip(rows, short_names(rows), strict=True)]),
            "",
        ]
        first = rows[0]
        lines += [
            f"{first['dataset']}, protocol `{first['protocol']}`, test n = {first['n']}, epoch by "
            f"`{first['selection']}`, seeds {', '.join(map(str, first['seeds']))}; "
            f"with {', '.join(f'`{s}`' for s in sweep['settings']) or 'the recipes as they are'}.",
            "",
        ]
        if first["doa"]:
            lines += ["**Azimuths**", "", *grid(azimuths(rows)), ""]
        if has_picture(record, part):
            lines += [*picture(f"Accuracy over SNR, {TITLES[name]}", f"images/table-{name}"), ""]
    if "gcc_phat_peak" in record:
        n = record["gcc_phat_peak"][0]["n"]
        lines += [f"**GCC-PHAT without a network**, the first table's {n} clips, same noise", ""]
        lines += [*grid([peak_cells(row) for row in record["gcc_phat_peak"]]), ""]
    machine = record["machine"]
    lines += [
        f"{record['date']}, {machine['cores']} cores, {machine['processor']}, torch "
        f"{record['versions']['torch']}.",
        "",
    ]
    return lines


def picture(alt: str, stem: str) -> list[str]:
    """Write a picture that has a variant for a page in the dark, as HTML for Markdown."""
    return [
        "<picture>",
        f'<source media="(prefers-color-scheme: dark)" srcset="{stem}-dark.png">',
        f'<img src="{stem}.png" alt="{alt}">',
        "</picture>",
    ]


def has_picture(record: Row, part: str) -> bool:
    """Return whether the noise curves of a part are drawn: of systems that are no localisers."""
    return part == "systems" and record["table"] != "array"


def draw(record: Row) -> None:
    """Draw the noise curves of a table's systems."""
    for sweep in record["sweeps"]:
        if has_picture(record, sweep["part"]):
            title = f"White noise on every input, {TITLES[record['table']]}"
            figure = partial(draw_noise_curves, sweep["rows"], "both", title)
            write_both(figure, IMAGES / f"table-{record['table']}.png")


def records() -> list[Row]:
    """Read the tables that have been measured."""
    paths = [RESULTS / f"table-{name}.json" for name in TITLES]
    return [json.loads(path.read_text("utf-8")) for path in paths if path.exists()]


def page(before: str) -> str:
    """Return the page with all below its mark written anew."""
    lines = [line for record in records() for line in section(record)]
    return "\n".join([before.partition(MARK)[0] + MARK, "", *lines]).rstrip() + "\n"


def summary(before: str) -> str:
    """Return the page with a new summary of the systems: clean and at 0 dB on each data set."""
    lines: dict[str, dict[str, str]] = {}
    for record in records():
        if record["table"] != "array":
            rows = record["sweeps"][0]["rows"]
            column = f"{SHORT[record['table']]} (n = {rows[0]['n']})"
            for row, name in zip(rows, short_names(rows), strict=True):
                short = name.removesuffix("_stand_in_images")
                clean_and_0_db = (
                    f"{100 * row['accuracy']:.1f} / {100 * row['noise']['0 dB']['mean']:.1f}"
                )
                lines.setdefault(short, {"clean / 0 dB": f"`{short}`"})[column] = clean_and_0_db
    head, _, rest = before.partition(BEGIN)
    tail = rest.partition(END)[2]
    return head + "\n".join([BEGIN, *grid(list(lines.values())), END]) + tail


def main() -> None:
    """Draw the pictures and write the page and the summary."""
    for record in records():
        draw(record)
    PAGE.write_text(summary(page(PAGE.read_text("utf-8"))), "utf-8")


if __name__ == "__main__":
    main()
