"""Check that the figures in a result file follow from the predictions and counts beside them.

Each function takes the content of a file that fits its schema, and returns the first contradiction
in words, or "".
"""

from collections.abc import Sequence
from typing import Any

from pipelines.results.metrics import summary, wilson_interval

TOLERANCE = 1e-9  # libraries round sums of floats in their own ways


def evaluation_fault(content: dict[str, Any]) -> str:
    """Compute the figures of eval.json again from its labels, predictions and azimuths."""
    labels, predictions = content["labels"], content["predictions"]
    if labels.keys() != predictions.keys():
        return "labels and predictions are of different clips"
    names = [row["class"] for row in content["per_class"]]
    try:
        figures = summary(list(labels.values()), [predictions[clip] for clip in labels], names)
    except ValueError as error:
        return f"its predictions are not readable: {error}"
    for name, value in figures.items():
        if name in content and not _is_same(content[name], value):
            return f"{name} does not follow from its predictions"
    return _direction_fault(content)


def _direction_fault(content: dict[str, Any]) -> str:
    shares, predicted, true = (
        content.get(name) for name in ("doa", "azimuths_deg", "true_azimuths_deg")
    )
    if not (shares and predicted and true):
        return ""
    if predicted.keys() != true.keys() or predicted.keys() != content["labels"].keys():
        return "its azimuths are of other clips"
    # the shorter way round the circle: 359 and 1 degrees are 2 apart
    errors = [abs((predicted[clip] - true[clip] + 180) % 360 - 180) for clip in predicted]
    figures = {
        "n": len(errors),
        "mae_deg": sum(errors) / len(errors),
        "below_2_5_deg": sum(error < 2.5 for error in errors) / len(errors),
        "up_to_5_deg": sum(error <= 5 for error in errors) / len(errors),
    }
    wrong = [name for name, value in figures.items() if not _is_same(shares[name], value)]
    return f"doa.{wrong[0]} does not follow from its azimuths" if wrong else ""


def sweep_fault(content: dict[str, Any], name: str, levels: Sequence[float], unit: str) -> str:
    """Compare a sweep's points with the levels asked for, and each point with its own count.

    name: the key of a point's level. The first point, without noise, has None there.
    """
    points, n = content["points"], content.get("n")
    if [point[name] for point in points] != [None, *levels]:
        return "its levels are not those that were asked for"
    for point in points:
        correct = point.get("correct")
        if n is None or correct is None:  # sweeps of earlier versions have no counts
            continue
        if not 0 <= correct <= n:
            return "a count of right answers is larger than n"
        figures = [correct / n, *wilson_interval(correct, n)]
        if not _is_same([point["accuracy"], point["wilson_low"], point["wilson_high"]], figures):
            return f"the point at {point[name]}{unit} does not follow from its count"
    return ""


def _is_same(written: Any, computed: Any) -> bool:
    """Compare a written figure, list or mapping with the computed one, floats to TOLERANCE.

    A mapping may hold more keys than the computed one.
    """
    if isinstance(computed, dict):
        return isinstance(written, dict) and all(
            key in written and _is_same(written[key], computed[key]) for key in computed
        )
    if isinstance(computed, list | tuple):
        return (
            isinstance(written, list)
            and len(written) == len(computed)
            and all(map(_is_same, written, computed))
        )
    if isinstance(computed, float) and isinstance(written, int | float):
        # no subtraction of written: an integer of 400 digits would overflow
        return computed - TOLERANCE <= written <= computed + TOLERANCE
    return bool(written == computed)
