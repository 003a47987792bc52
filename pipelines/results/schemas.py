"""What each result file of a run must hold, and which of its figures follow from the others.

What is listed here is what is read again; a file may hold more. What older files lack has a
default.
"""

import json
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]
# JSON has integers that no float can hold: what is computed with must fit one
Finite = Annotated[float, Field(ge=-1e300, le=1e300, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, le=2**53)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)


class ResultFile(_Part):
    """A file of a run: what makes it again, and the files beside it whose seals it names."""

    AGAIN: ClassVar[str]  # what makes it again
    MADE_WITH: ClassVar[tuple[str, ...]] = ("trained.json",)  # beside it, or one folder up

    made_with: dict[str, Sha256] = {}

    @classmethod
    def faults(cls, _content: dict[str, Any]) -> str:
        """Say what in a valid content contradicts the rest of it; "" if nothing does."""
        return ""


class Environment(ResultFile):
    """env.json: what a run was started with."""

    AGAIN = "avsnn train RECIPE --fresh"
    MADE_WITH = ()
    name: str
    caches: list[str]
    run: str | None = None
    recipe_sha256: Sha256 | None = None
    clips_sha256: Sha256 | None = None
    cache_contents: list[Sha256] | None = None
    versions: dict[str, Any] = {}
    machine: dict[str, Any] = {}
    code: dict[str, str] | None = None  # hashes by file; runs of before have none
    classes: list[str] | None = None  # in the order of their labels; runs of before have none


class _Selected(_Part):
    epoch: Count


class _Begun(_Part):
    run: str


class Trained(ResultFile):
    """trained.json: which weights were selected, and where training began."""

    AGAIN = "avsnn train RECIPE --fresh"
    MADE_WITH = ("env.json",)
    selected: _Selected
    metrics_sha256: Sha256 | None = None
    rule: str
    sha256: Sha256
    start_from: list[_Begun] = []
    parameters: Count | None = None
    order: Count | None = None  # rises from run to run; runs of before have none


class _ClassRow(_Part):
    name: str = Field(alias="class")
    n: Count
    recall: Share | None
    precision: Share | None


class _Directions(_Part):
    n: Count
    mae_deg: Finite
    below_2_5_deg: Share
    up_to_5_deg: Share


class Evaluation(ResultFile):
    """eval.json: what the test set said."""

    AGAIN = "avsnn evaluate RUN --force"
    dataset: str
    protocol: str | None
    seed: int
    selection: str
    n: Annotated[Count, Field(ge=1)]
    accuracy: Share
    balanced_accuracy: Share
    wilson: Annotated[list[Share], Field(min_length=2, max_length=2)]
    per_class: list[_ClassRow]
    confusion: list[list[Count]]
    predictions: dict[str, int]
    labels: dict[str, int]
    doa: _Directions | None = None
    azimuths_deg: dict[str, Finite] = {}
    true_azimuths_deg: dict[str, Finite] = {}

    @classmethod
    def faults(cls, content: dict[str, Any]) -> str:
        """Work the figures out again from labels, predictions and azimuths."""
        from pipelines.results.metrics import summary

        labels, predictions = content["labels"], content["predictions"]
        if labels.keys() != predictions.keys():
            return "labels and predictions are of different clips"
        names = [row["class"] for row in content["per_class"]]
        try:
            figures = summary(list(labels.values()), [predictions[clip] for clip in labels], names)
        except ValueError as error:
            return f"its predictions are not readable: {error}"
        for name, value in figures.items():
            if name in content and not _same(content[name], value):
                return f"{name} does not follow from its predictions"
        return _direction_faults(content)


def _same(written: Any, value: Any) -> bool:
    """Compare figures to the last digits, which libraries may round in their own ways."""
    if isinstance(value, dict):
        return isinstance(written, dict) and all(
            key in written and _same(written[key], value[key]) for key in value
        )
    if isinstance(value, list | tuple):
        return (
            isinstance(written, list)
            and len(written) == len(value)
            and all(map(_same, written, value))
        )
    if isinstance(value, float) and isinstance(written, int | float):
        return value - 1e-9 <= written <= value + 1e-9
    return bool(written == value)


def _direction_faults(content: dict[str, Any]) -> str:
    shares, given, true = (content.get(k) for k in ("doa", "azimuths_deg", "true_azimuths_deg"))
    if not (shares and given and true):
        return ""
    if given.keys() != true.keys() or given.keys() != content["labels"].keys():
        return "its azimuths are of other clips"
    errors = [abs((given[clip] - true[clip] + 180) % 360 - 180) for clip in given]
    figures = {
        "n": len(errors),
        "mae_deg": sum(errors) / len(errors),
        "below_2_5_deg": sum(error < 2.5 for error in errors) / len(errors),
        "up_to_5_deg": sum(error <= 5 for error in errors) / len(errors),
    }
    wrong = [name for name, value in figures.items() if not _same(shares[name], value)]
    return f"doa.{wrong[0]} does not follow from its azimuths" if wrong else ""


class _Noise(_Part):
    modality: Literal["audio", "visual", "both"]
    power: Literal["sample", "batch"]
    seed: Count
    snr_db: dict[str, Any] | None = None


class _Accuracy(_Part):
    correct: Count | None = None
    accuracy: Share
    wilson_low: Share
    wilson_high: Share
    doa_mae_deg: Finite = 0.0
    doa_below_2_5_deg: Share = 0.0
    doa_up_to_5_deg: Share = 0.0


class _Point(_Accuracy):
    snr_db: Finite | None


class NoiseSweep(ResultFile):
    """noise-….json: accuracy at each level."""

    AGAIN = "avsnn noise-eval RUN --force"
    noise: _Noise
    noisy_inputs: list[str]
    points: Annotated[list[_Point], Field(min_length=1)]
    n: Annotated[Count, Field(ge=1)] | None = None

    @classmethod
    def faults(cls, content: dict[str, Any]) -> str:
        """Hold the levels to those asked for, and each accuracy and interval to its count."""
        from pipelines.recipe.noise import Noise

        try:
            asked = Noise.model_validate_json(json.dumps(content["noise"])).snr_db.levels()
        except (ValueError, RecursionError):
            return "noise is not a sweep that can be asked for"
        return _point_faults(content, "snr_db", asked, " dB")


class _EventNoise(_Part):
    kind: Literal["drop", "rate"]
    modality: Literal["audio", "visual", "both"]
    seed: Count


class _EventPoint(_Accuracy):
    level: Annotated[Finite, Field(ge=0)] | None


class EventNoiseSweep(ResultFile):
    """event-noise-….json: accuracy at each level of noise on events."""

    AGAIN = "avsnn noise-eval RUN --event-noise KIND:START:STOP:STEP --force"
    noise: _EventNoise
    unit: str
    noisy_inputs: list[str]
    points: Annotated[list[_EventPoint], Field(min_length=1)]
    n: Annotated[Count, Field(ge=1)]

    @classmethod
    def faults(cls, content: dict[str, Any]) -> str:
        """Hold the levels to those asked for, and each accuracy and interval to its count."""
        from pipelines.recipe.noise import EventNoise

        try:
            noise = EventNoise.model_validate_json(json.dumps(content["noise"]))
        except (ValueError, RecursionError):
            return "noise is not a sweep that can be asked for"
        return _point_faults(content, "level", noise.levels(), "")


def _point_faults(content: dict[str, Any], name: str, asked: Sequence[float], unit: str) -> str:
    """Report what in a sweep's points contradicts the levels asked for or their own counts."""
    from pipelines.results.metrics import wilson_interval

    points, n = content["points"], content.get("n")
    if [point[name] for point in points] != [None, *asked]:
        return "its levels are not those that were asked for"
    for point in points:
        correct = point.get("correct")
        if n is None or correct is None:
            continue
        if not 0 <= correct <= n:
            return "a count of right answers is larger than n"
        figures = (correct / n, *wilson_interval(correct, n))
        written = (point["accuracy"], point["wilson_low"], point["wilson_high"])
        if not _same(list(written), list(figures)):
            return f"the point at {point[name]}{unit} does not follow from its count"
    return ""


class _Priced(_Part):
    macs: Finite
    acs: Finite = 0.0
    energy_pj: Annotated[dict[str, Finite], Field(min_length=1)]


class _Layer(_Priced):
    name: str
    operation: str
    input: str
    density: Finite


class Energy(ResultFile):
    """energy.json: operations, and what they would cost."""

    AGAIN = "avsnn energy RUN --force"
    n: Count
    asked: Count | None = None  # for how many clips; there may be fewer
    seed: int
    label: str
    layers: list[_Layer]
    total: _Priced
    ann_twin: _Priced
    uncounted: list[str]


class Explanation(ResultFile):
    """explained/distances.json: how far apart the classes lie, and what was drawn."""

    AGAIN = "avsnn explain RUN --force"
    MADE_WITH = ("../trained.json",)
    run: str
    n: Count
    within: Finite | None
    between: Finite | None
    ratio: Finite | None
    silhouette: Finite | None
    files: list[Annotated[str, Field(pattern=r"^[\w-]+\.(json|png)$")]]
    beside: dict[str, str]
    left_out: dict[str, str]
