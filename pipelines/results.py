"""The files that a run's stages leave, held to what they must say before anyone believes them.

What is listed here is what is read again; a file may say more. What older files lack has a default.
"""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipelines import store
from pipelines.errors import DataError
from pipelines.schema_faults import plain_words

Share = Annotated[float, Field(ge=0, le=1)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class _Said(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)


class _File(_Said):
    AGAIN: ClassVar[str]  # what makes it again


class Environment(_File):
    """env.json: what a run was started with."""

    AGAIN = "avsnn train RECIPE --fresh"
    name: str
    caches: list[str]
    versions: dict[str, Any] = {}
    machine: dict[str, Any] = {}


class _Selected(_Said):
    epoch: Count


class _Begun(_Said):
    run: str


class Trained(_File):
    """trained.json: which weights were selected, and where training began."""

    AGAIN = "avsnn train RECIPE --fresh"
    selected: _Selected
    rule: str
    sha256: Sha256
    start_from: list[_Begun] = []
    parameters: Count | None = None


class _ClassRow(_Said):
    name: str = Field(alias="class")
    n: Count
    recall: Share | None
    precision: Share | None


class _Directions(_Said):
    n: Count
    mae_deg: Finite
    below_2_5_deg: Share
    up_to_5_deg: Share


class Evaluation(_File):
    """eval.json: what the test set said."""

    AGAIN = "avsnn evaluate RUN --force"
    dataset: str
    protocol: str | None
    seed: int
    selection: str
    n: Annotated[int, Field(ge=1)]
    accuracy: Share
    balanced_accuracy: Share
    wilson: Annotated[list[Share], Field(min_length=2, max_length=2)]
    per_class: list[_ClassRow]
    confusion: list[list[Count]]
    predictions: dict[str, int]
    labels: dict[str, int]
    doa: _Directions | None = None


class _Noise(_Said):
    modality: Literal["audio", "visual", "both"]
    power: Literal["sample", "batch"]
    seed: Count


class _Point(_Said):
    snr_db: Finite | None
    accuracy: Share
    wilson_low: Share
    wilson_high: Share
    doa_mae_deg: Finite = 0.0
    doa_below_2_5_deg: Share = 0.0
    doa_up_to_5_deg: Share = 0.0


class NoiseSweep(_File):
    """noise-….json: accuracy at each level."""

    AGAIN = "avsnn noise-eval RUN --force"
    noise: _Noise
    noisy_inputs: list[str]
    points: Annotated[list[_Point], Field(min_length=1)]


class _Priced(_Said):
    macs: Finite
    acs: Finite = 0.0
    energy_pj: Annotated[dict[str, Finite], Field(min_length=1)]


class _Layer(_Priced):
    name: str
    operation: str
    input: str
    density: Finite


class Energy(_File):
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


class Explanation(_File):
    """explained/distances.json: how far apart the classes lie, and what was drawn."""

    AGAIN = "avsnn explain RUN --force"
    run: str
    n: Count
    within: Finite | None
    between: Finite | None
    ratio: Finite | None
    silhouette: Finite | None
    files: list[Annotated[str, Field(pattern=r"^[\w-]+\.(json|png)$")]]
    beside: dict[str, str]
    left_out: dict[str, str]


def read(path: Path, kind: type[_File]) -> dict[str, Any]:
    """Return what a result file says, as it is written.

    Raises DataError in one line if it is missing, damaged, or does not say what its kind must.
    """
    content: dict[str, Any] = store.read_json(path)
    try:
        kind.model_validate(content)
    except ValidationError as error:
        fault = error.errors()[0]
        said = " ".join([".".join(map(str, fault["loc"])), *plain_words(fault)]).strip()
        raise DataError(f"{path} is not readable: {said}", kind.AGAIN) from None
    return content
