"""Write docs/results.md, its pictures and its summary from results/table-*.json.

python benchmarks/show_tables.py
"""

import json
from pathlib import Path
from typing import Any

from pipelines.figures.plot_style import write
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


def percent(found: Row | None) -> str:
    """Write a mean ± sd of shares in percent."""
    if found is None:
        return ""
    sd = "" if found["sd"] is None else f" ± {100 * found['sd']:.2f}"
    return f"{100 * found['mean']:.2f}{sd}"


def cells(row: Row, name: str) -> dict[str, str]:
    """Lay one system out: accuracy clean and under noise, and p."""
    noise = row["noise"]
    p = "best" if row["mcnemar_p"] is None else f"{row['mcnemar_p']:.2g}"
    found = {"system": name, "clean": percent({"mean": row["accuracy"], "sd": row["sd"]})}
    for level in SHOWN_DB:
        found[f"{level} dB"] = percent(noise.get(f"{level} dB") or noise.get(f"audio {level} dB"))
    found["p against best"] = p
    return found


def grid(rows: list[dict[str, str]]) -> list[str]:
    """Write rows of one table in Markdown."""
    lines = [list(rows[0]), ["---"] * len(rows[0]), *(list(row.values()) for row in rows)]
    return ["| " + " | ".join(line) + " |" for line in lines]


def azimuths(rows: list[Row]) -> list[dict[str, str]]:
    """Lay the azimuth's errors out, one line a system and ratio."""
    found = []
    for row, name in zip(rows, short_names(rows), strict=True):
        for level, errors in (("clean", row["doa"]), *row["noise_doa"].items()):
            mae = errors["mae_deg"]
            found.append({
                "system": name, "SNR": level.removeprefix("audio "),
                "MAE °": f"{mae['mean']:.2f}" + (f" ± {mae['sd']:.2f}" if mae["sd"] else ""),
                "< 2.5° %": percent(errors["below_2_5_deg"]),
                "≤ 5° %": percent(errors["up_to_5_deg"]),
            })  # fmt: skip
    return found


def peak_cells(row: Row) -> dict[str, str]:
    """Lay out what one way of using GCC-PHAT gives at one ratio."""
    return {
        "way": WAYS[row["way"]],
        "SNR": "clean" if row["snr_db"] is None else f"{row['snr_db']:g} dB",
        "MAE °": f"{row['mae_deg']:.2f}",
        "< 2.5° %": f"{100 * row['below_2_5_deg']:.2f}",
        "≤ 5° %": f"{100 * row['up_to_5_deg']:.2f}",
    }


def section(record: Row) -> list[str]:
    """Write what one file holds: its sweeps as tables, a picture, how it was made."""
    name = record["table"]
    lines = [f"## {TITLES[name]}", ""]
    for sweep in record["sweeps"]:
        rows = sweep["rows"]
        part = sweep["part"]
        lines += [f"**{PARTS[part]}**", "", *grid([
            cells(row, short) for row, short in zip(rows, short_names(rows), strict=True)
        ]), ""]  # fmt: skip
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
            lines += [f"![Accuracy over SNR, {TITLES[name]}](images/table-{name}.png)", ""]
    if "gcc_phat_peak" in record:
        n = record["gcc_phat_peak"][0]["n"]
        lines += [f"**GCC-PHAT without a network**, the first table's {n} clips, same noise", ""]
        lines += [*grid([peak_cells(row) for row in record["gcc_phat_peak"]]), ""]
    machine = record["machine"]
    lines += [f"{record['date']}, {machine['cores']} cores, {machine['processor']}, torch "
              f"{record['versions']['torch']}.", ""]  # fmt: skip
    return lines


def has_picture(record: Row, part: str) -> bool:
    """Say whether a part of a table has noise curves to draw: not of localisers."""
    return part == "systems" and record["table"] != "array"


def draw(record: Row) -> None:
    """Draw the noise curves of a table's systems."""
    for sweep in record["sweeps"]:
        if has_picture(record, sweep["part"]):
            title = f"White noise on every input, {TITLES[record['table']]}"
            figure = draw_noise_curves(sweep["rows"], "both", title)
            write(figure, IMAGES / f"table-{record['table']}.png")


def records() -> list[Row]:
    """Read what the tables hold that have been made."""
    found = [RESULTS / f"table-{name}.json" for name in TITLES]
    return [json.loads(path.read_text("utf-8")) for path in found if path.exists()]


def page(before: str) -> str:
    """Write the page anew below its mark."""
    lines = [line for record in records() for line in section(record)]
    return "\n".join([before.partition(MARK)[0] + MARK, "", *lines]).rstrip() + "\n"


def summary(before: str) -> str:
    """Write the page's summary of the systems anew: clean and at 0 dB on each data set."""
    found: dict[str, dict[str, str]] = {}
    for record in records():
        if record["table"] != "array":
            rows = record["sweeps"][0]["rows"]
            column = f"{SHORT[record['table']]} (n = {rows[0]['n']})"
            for row, name in zip(rows, short_names(rows), strict=True):
                short = name.removesuffix("_stand_in_images")
                said = f"{100 * row['accuracy']:.1f} / {100 * row['noise']['0 dB']['mean']:.1f}"
                found.setdefault(short, {"clean / 0 dB": f"`{short}`"})[column] = said
    head, _, rest = before.partition(BEGIN)
    tail = rest.partition(END)[2]
    return head + "\n".join([BEGIN, *grid(list(found.values())), END]) + tail


def main() -> None:
    """Draw the pictures and write the page and the summary."""
    for record in records():
        draw(record)
    PAGE.write_text(summary(page(PAGE.read_text("utf-8"))), "utf-8")


if __name__ == "__main__":
    main()
