"""Schemas of the JSON files that the stages of a run write.

Listed is what is read again; a file may hold more. A field that files of earlier versions lack has
a default. `consistency` is imported only where a figure is computed again: it imports NumPy, which
would slow every listing of runs.
"""

import json
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]
# JSON may hold integers that no float can: in arithmetic they would raise OverflowError
Finite = Annotated[float, Field(ge=-1e300, le=1e300, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, le=2**53)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class _Part(BaseModel):
    # strict: pydantic would else read "0.5" as a number, and true as 1
    model_config = ConfigDict(extra="allow", strict=True)


class ResultFile(_Part):
    """A file of a run, with the command that makes it again and the files that it was made with."""

    AGAIN: ClassVar[str]  # the hint of every error about the file
    MADE_WITH: ClassVar[tuple[str, ...]] = ("trained.json",)  # paths from its folder

    made_with: dict[str, Sha256] = {}

    @classmethod
    def faults(cls, _content: dict[str, Any]) -> str:
        """Return what in a valid content contradicts the rest of it; "" if nothing does."""
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
    code: dict[str, str] | None = None  # hash by file; None in runs of earlier versions
    classes: list[str] | None = None  # by label; None in runs of earlier versions


class _Selected(_Part):
    epoch: Count


class _StartedFrom(_Part):
    run: str


class Trained(ResultFile):
    """trained.json: which weights were selected, and from which runs training started."""

    AGAIN = "avsnn train RECIPE --fresh"
    MADE_WITH = ("env.json",)
    selected: _Selected
    metrics_sha256: Sha256 | None = None
    rule: str
    sha256: Sha256
    start_from: list[_StartedFrom] = []
    parameters: Count | None = None
    order: Count | None = None  # rises from run to run; None in runs of earlier versions


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
    """eval.json: predictions on the test set, and the figures that follow from them."""

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
        """Compare the figures with those of its labels, predictions and azimuths."""
        from pipelines.results.consistency import evaluation_fault

        return evaluation_fault(content)


class _NoiseSection(_Part):
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


class _SnrAccuracy(_Accuracy):
    snr_db: Finite | None


class NoiseSweep(ResultFile):
    """noise-….json: accuracy at each level."""

    AGAIN = "avsnn noise-eval RUN --force"
    noise: _NoiseSection
    noisy_inputs: list[str]
    points: Annotated[list[_SnrAccuracy], Field(min_length=1)]
    n: Annotated[Count, Field(ge=1)] | None = None

    @classmethod
    def faults(cls, content: dict[str, Any]) -> str:
        """Compare the levels with the noise section, each accuracy and interval with its count."""
        from pipelines.recipe.noise import Noise
        from pipelines.results.consistency import sweep_fault

        try:
            levels = Noise.model_validate_json(json.dumps(content["noise"])).snr_db.levels()
        except (ValueError, RecursionError):  # a hostile file nests without end
            return "noise is not a sweep that can be asked for"
        return sweep_fault(content, "snr_db", levels, " dB")


class _EventNoiseSection(_Part):
    kind: Literal["drop", "rate"]
    modality: Literal["audio", "visual", "both"]
    seed: Count


class _EventLevelAccuracy(_Accuracy):
    level: Annotated[Finite, Field(ge=0)] | None


class EventNoiseSweep(ResultFile):
    """event-noise-….json: accuracy at each level of noise on events."""

    AGAIN = "avsnn noise-eval RUN --event-noise KIND:START:STOP:STEP --force"
    noise: _EventNoiseSection
    unit: str
    noisy_inputs: list[str]
    points: Annotated[list[_EventLevelAccuracy], Field(min_length=1)]
    n: Annotated[Count, Field(ge=1)]

    @classmethod
    def faults(cls, content: dict[str, Any]) -> str:
        """Compare the levels with the noise section, each accuracy and interval with its count."""
        from pipelines.recipe.noise import EventNoise
        from pipelines.results.consistency import sweep_fault

        try:
            levels = EventNoise.model_validate_json(json.dumps(content["noise"])).levels()
        except (ValueError, RecursionError):  # a hostile file nests without end
            return "noise is not a sweep that can be asked for"
        return sweep_fault(content, "level", levels, "")


def _has_float32(energy_pj: dict[str, float]) -> dict[str, float]:
    if "float32" not in energy_pj:
        raise ValueError("has no energy at float32, which tables show")
    return energy_pj


class _Priced(_Part):
    macs: Finite
    acs: Finite = 0.0  # a twin without spikes has none
    energy_pj: Annotated[dict[str, Finite], AfterValidator(_has_float32)]


class _Layer(_Priced):
    acs: Finite
    name: str
    operation: str
    input: str
    density: Finite


class Energy(ResultFile):
    """energy.json: operations by layer, and the energy that they would take."""

    AGAIN = "avsnn energy RUN --force"
    n: Count
    asked: Count | None = None  # number of clips asked for; n may be smaller
    seed: int
    label: str
    layers: list[_Layer]
    total: _Priced
    ann_twin: _Priced
    uncounted: list[str]


class Explanation(ResultFile):
    """explained/distances.json: distances within and between classes, and the files drawn."""

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
