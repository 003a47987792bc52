"""Results of the stages as text for people: accuracy, noise, energy, distances, predictions."""

from collections.abc import Sequence
from typing import Any

from avsnn_cli.layout import TableRows, paragraph, percent, table, table_in_blocks

SHOWN_CLASSES = 10


def accuracy_table(result: dict[str, Any]) -> str:
    """Lay out an evaluation: accuracy with its interval, and the recall of each class."""
    low, high = result["wilson"]
    lines = [
        paragraph(
            f"{result['dataset']} ({result['protocol']}), test n = {result['n']}, seed "
            f"{result['seed']}, {result['selection']}"
        ),
        f"accuracy {percent(result['accuracy'])}  95 % {percent(low)} to {percent(high)}  "
        f"balanced {percent(result['balanced_accuracy'])}",
    ]
    if result.get("doa"):
        lines.append(paragraph(_azimuth_errors(result["doa"])))
    rows = [
        {
            "class": row["class"],
            "n": row["n"],
            "recall": _share(row["recall"]),
            "precision": _share(row["precision"]),
        }
        for row in result["per_class"]
    ]
    return "\n".join([*lines, "", table(rows)])


def _azimuth_errors(errors: dict[str, Any]) -> str:
    return (
        f"azimuth: mean error {errors['mae_deg']:.2f}° on the circle, "
        f"{percent(errors['below_2_5_deg'])} below 2.5°, {percent(errors['up_to_5_deg'])} up to 5° "
        f"(n = {errors['n']})"
    )


def _share(value: float | None) -> str:
    # a class without test clips has no recall, one never predicted no precision
    return "" if value is None else percent(value)


def noise_table(result: dict[str, Any]) -> str:
    """Lay out a noise curve, the clean point first."""
    name, unit = ("level", result["unit"]) if "unit" in result else ("snr_db", "SNR (dB)")
    rows = [
        {
            unit: "clean" if point[name] is None else f"{point[name]:g}",
            "accuracy": percent(point["accuracy"]),
            "95 %": f"{percent(point['wilson_low'])} to {percent(point['wilson_high'])}",
        }
        for point in result["points"]
    ]
    return f"noise on {' and '.join(result['noisy_inputs'])}\n{table(rows)}"


def energy_table(result: dict[str, Any]) -> str:
    """Lay out an energy count: each layer, then the whole network beside its ANN twin."""
    totals = [
        {"": name, **{f"µJ {kind}": f"{pj / 1e6:.4g}" for kind, pj in count["energy_pj"].items()}}
        for name, count in (
            ("this network", result["total"]),
            ("its ANN twin, one step", result["ann_twin"]),
        )
    ]
    basis = (
        f"{result['label']}: per clip, mean of {result['n']} test clips. Memory accesses and "
        "neuron updates are not counted; this is neither a measurement nor a bound."
    )
    layers = table_in_blocks(_layers(result))
    return f"{layers}\n(nJ at float32)\n\n{table_in_blocks(totals)}\n\n{paragraph(basis, '')}"


def _layers(result: dict[str, Any]) -> TableRows:
    rows = []
    for layer in result["layers"]:
        # a layer with real-valued input multiplies (MAC), one with spikes only adds (AC)
        kind = "MAC" if layer["macs"] else "AC"
        rows.append(
            {
                "layer": layer["name"],
                "input": layer["input"],
                "density": f"{layer['density']:.3f}",
                "operations": f"{layer['macs'] + layer['acs']:.3g} {kind}",
                "nJ": f"{layer['energy_pj']['float32'] / 1000:.3g}",
            }
        )
    return rows


def explanation_table(results: Sequence[dict[str, Any]]) -> str:
    """Lay out the embedding distances, a row per run, and list the folders of the pictures."""
    numbers = ("within", "between", "ratio", "silhouette")
    rows = [
        {
            **{name: "" if row[name] is None else f"{row[name]:.3f}" for name in numbers},
            "n": row["n"],
            "run": row["run"],
        }
        for row in results
    ]
    places = [f"{row['folder']}: {' '.join(row['files'])}" for row in results]
    return "\n".join([table(rows), "(cosine distances of test clips' embeddings)", "", *places])


def prediction_table(result: dict[str, Any]) -> str:
    """Lay out a prediction: the most probable classes first, then each input without a file."""
    likeliest = sorted(result["probabilities"].items(), key=lambda item: -item[1])[:SHOWN_CLASSES]
    lines = [table([{"class": name, "probability": percent(share)} for name, share in likeliest])]
    if "azimuth_deg" in result:
        lines.append(f"azimuth {result['azimuth_deg']:g}°")
    for modality in result["missing"]:
        lines.append(
            f"no {modality} input was given: the mean of the training clips stands in for it"
        )
    return "\n".join(lines)


def export_text(result: dict[str, Any]) -> str:
    """Summarise an export: folded norms, differences from the run, what NIR cannot carry."""
    check, accuracy = result["check"], result["check"]["accuracy"]
    lines = [
        f"{result['model']['name']}, {result['weights']['numbers']:,} numbers, "
        f"{len(result['folded'])} norms folded, {len(result['not_folded'])} kept",
        f"on {check['clips']} test clips the folded network differs by "
        f"{check['float64_difference']:.1g} in float64,",
        f"by {check['float32_difference']:.1g} as written in float32, where "
        f"{check['float32_predictions_changed']} predictions change",
        f"accuracy there {percent(accuracy['before'])} before, {percent(accuracy['after'])} after",
    ]
    kinds = dict.fromkeys(row["type"] for row in result["nir"]["not_carried"])
    if kinds:
        lines.append(f"NIR does not carry {', '.join(kinds)}")
    return "\n".join([result["folder"], *(paragraph(line, "") for line in lines)])
