"""Draw docs/images/noise-spoken-digits-av.png from benchmarks/results/accuracy-*.json."""

import json
from pathlib import Path

from pipelines.figures.noise_plot import NoiseCurve, draw_noise
from pipelines.figures.plot_style import write_both

ROOT = Path(__file__).parent.parent
LABELS = {
    "spoken_digits_av/s_cmrl": "S-CMRL",
    "spoken_digits_av/spikformer_audio": "audio alone",
    "spoken_digits_av/spikformer_visual": "image alone",
}


def main() -> None:
    record = json.loads((ROOT / "benchmarks/results/accuracy-spoken-digits-av.json").read_text())
    curves = []
    for system, label in LABELS.items():
        table = record["table"][system]
        levels = [level for level in table if level != "None"]
        mean = [table[level]["mean"] for level in levels]
        sd = [table[level]["sd"] or 0.0 for level in levels]
        curves.append(
            NoiseCurve(
                label=label,
                snr_db=[float(level) for level in levels],
                accuracy=mean,
                low=[max(0.0, m - s) for m, s in zip(mean, sd, strict=True)],
                high=[min(1.0, m + s) for m, s in zip(mean, sd, strict=True)],
                clean=table["None"]["mean"],
                chance=0.1,  # ten digits
            )
        )
    seeds = len({run["seed"] for run in record["runs"]})
    title = f"White noise on every input, MNIST × FSDD test (n = 3000, {seeds} seeds, ± sd)"
    target = ROOT / "docs/images/noise-spoken-digits-av.png"
    target.parent.mkdir(parents=True, exist_ok=True)
    write_both(lambda: draw_noise(curves, title), target)


if __name__ == "__main__":
    main()
