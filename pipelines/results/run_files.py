"""The files that a run's stages leave, held to what they must say before anyone believes them.

Each is sealed and names the seals of those it was made with: trained.json that of env.json, every
result that of trained.json. Reading one checks the whole chain, and whether its numbers follow
from the predictions in it. What is listed here is what is read again; a file may say more. What
older files lack has a default; a run is of one age, so in a sealed run a file without a seal is
refused.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipelines.disk import seal, store
from pipelines.errors import DataError
from pipelines.recipe.schema_messages import plain_words

Share = Annotated[float, Field(ge=0, le=1)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class _Said(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)


class _File(_Said):
    AGAIN: ClassVar[str]  # what makes it again
    MADE_WITH: ClassVar[tuple[str, ...]] = ("trained.json",)  # beside it, or one folder up

    made_with: dict[str, Sha256] = {}

    @classmethod
    def faults(cls, content: dict[str, Any]) -> str:  # noqa: ARG003
        """Say what in a valid content contradicts the rest of it; "" if nothing does."""
        return ""


class Environment(_File):
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


class _Selected(_Said):
    epoch: Count


class _Begun(_Said):
    run: str


class Trained(_File):
    """trained.json: which weights were selected, and where training began."""

    AGAIN = "avsnn train RECIPE --fresh"
    MADE_WITH = ("env.json",)
    selected: _Selected
    metrics_sha256: Sha256 | None = None
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
        return abs(written - value) <= 1e-9
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


class _Noise(_Said):
    modality: Literal["audio", "visual", "both"]
    power: Literal["sample", "batch"]
    seed: Count
    snr_db: dict[str, Any] | None = None


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
    n: Annotated[int, Field(ge=1)] | None = None

    @classmethod
    def faults(cls, content: dict[str, Any]) -> str:
        """Hold the levels to those asked for, and each accuracy and interval to its count."""
        from pipelines.recipe.noise import Noise
        from pipelines.results.metrics import wilson_interval

        points, n = content["points"], content.get("n")
        try:
            asked = [None, *Noise.model_validate_json(json.dumps(content["noise"])).snr_db.levels()]
        except ValueError:
            return "noise is not a sweep that can be asked for"
        if [point["snr_db"] for point in points] != asked:
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
                return f"the point at {point['snr_db']} dB does not follow from its count"
        return ""


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


def publish(path: Path, kind: type[_File], content: Mapping[str, Any]) -> dict[str, Any]:
    """Write a file of a run, sealed, with the seals of what it was made with; returns it so."""
    made_with = {name: seal.of(store.read_json(path.parent / name)) for name in kind.MADE_WITH}
    return seal.publish(path, {**content, "made_with": made_with})


def read(path: Path, kind: type[_File]) -> dict[str, Any]:
    """Return what a result file says, as it is written.

    Raises DataError in one line if it is missing, damaged, does not say what its kind must, says
    what does not follow from its own predictions, or was made with other files than lie beside it.
    """
    content = seal.read(path, kind.AGAIN)
    try:
        kind.model_validate(content)
    except ValidationError as error:
        fault = error.errors()[0]
        said = " ".join([".".join(map(str, fault["loc"])), *plain_words(fault)]).strip()
        raise DataError(f"{path} is not readable: {said}", kind.AGAIN) from None
    if fault_text := kind.faults(content) or _chain_fault(path, kind, content):
        raise DataError(f"{path} is not what avsnn wrote: {fault_text}", kind.AGAIN)
    return content


def _chain_fault(path: Path, kind: type[_File], content: dict[str, Any]) -> str:
    """Say which of the files that a content was made with is another now; "" if none is."""
    sealed = seal.SEAL in content
    for name in kind.MADE_WITH:
        beside = (path.parent / name).resolve()
        if not sealed and not beside.exists():
            continue
        earlier = read(beside, KINDS[beside.name])
        if (seal.SEAL in earlier) != sealed:
            return f"it or {beside.name} was edited"
        if sealed and content["made_with"].get(name) != earlier[seal.SEAL]:
            return f"it was made with another {beside.name}"
    if kind is Environment and sealed:
        return _environment_fault(path, content)
    return ""


def _environment_fault(path: Path, content: dict[str, Any]) -> str:
    run, recipe = path.parent, path.parent / "recipe.yaml"
    # a copy elsewhere may be called what its owner likes; under runs/ the name is the key
    if run.parent == store.home() / "runs" and content["run"] != run.name:
        return f"it is the run {content['run']}'s"
    if recipe.exists() and store.sha256(recipe) != content["recipe_sha256"]:
        return "recipe.yaml beside it was edited: bring it back"
    return ""


KINDS: dict[str, type[_File]] = {"env.json": Environment, "trained.json": Trained}
