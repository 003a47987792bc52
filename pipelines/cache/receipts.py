"""Read clips and cache rows through their sealed receipts, checked before every use.

A receipt names its artefact and the hashes of its files. All clips and rows are read through this
module, so that every result depends on exactly the bytes that were published.

Imports no torch, and HDF5 only when rows are opened.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipelines.clips.clips import Clip, read_clips
from pipelines.disk import seal, store
from pipelines.errors import DataError
from pipelines.plan.data_plan import CachePlan, DataPlan
from pipelines.results import run_files, schemas

if TYPE_CHECKING:
    from pipelines.cache.rows import Rows

MAKE_AGAIN = "avsnn prepare RECIPE --force makes it again"

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _Strict(BaseModel):
    # strict: "3" is no number; extra: a receipt may hold more than is read again
    model_config = ConfigDict(extra="allow", strict=True)


class FileEntry(_Strict):
    """Size and hash of a published file."""

    bytes: Annotated[int, Field(ge=0)]
    sha256: Sha256


class Statistics(_Strict):
    """Mean and standard deviation of each channel over the training rows."""

    mean: Annotated[list[Finite], Field(min_length=1)]
    sd: Annotated[list[Positive], Field(min_length=1)]


class MadeFrom(_Strict):
    """The settings of a cache, which are in its key, and what was measured on its rows."""

    feature: str
    settings: dict[str, Any]
    statistics: Statistics


class CacheReceipt(_Strict):
    """receipt.json of a cache.

    content_sha256: over the names and the decoded content of all sources, the same on every
    device and with every version of HDF5. clips_sha256: of the clips that it was built for.
    """

    seal: Sha256
    artefact: str
    made_from: MadeFrom
    files: Annotated[dict[str, FileEntry], Field(min_length=1)]
    excluded: dict[str, str]
    content_sha256: Sha256
    clips_sha256: Sha256


class ClipsReceipt(_Strict):
    """….receipt.json beside the clips."""

    seal: Sha256
    artefact: str
    sha256: Sha256
    clips: dict[str, int]
    excluded: dict[str, str]
    classes: list[str] | None = None
    remarks: list[str] = []
    protocol: str | None = None


Receipt = TypeVar("Receipt", CacheReceipt, ClipsReceipt)


def clips_receipt_path(clips: Path) -> Path:
    """Return where the receipt of a clips manifest lies."""
    return clips.with_suffix(".receipt.json")


def read_receipt(path: Path, kind: type[Receipt], artefact: str) -> Receipt:
    """Read a receipt. Raises DataError if it is damaged, unsealed or another artefact's."""
    content = seal.read_sealed(path, MAKE_AGAIN)
    try:
        receipt = kind.model_validate(content)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"])) or "receipt"
        raise DataError(f"{path} is damaged: {where}: {fault['msg'].lower()}", MAKE_AGAIN) from None
    if receipt.artefact != artefact:
        raise DataError(f"{path} is the receipt of {receipt.artefact}", MAKE_AGAIN)
    return receipt


def cache_receipt(plan: CachePlan) -> CacheReceipt:
    """Return a cache's receipt, checked. Raises DataError if it is not what was written."""
    return read_receipt(plan.receipt, CacheReceipt, plan.folder.name)


def is_whole(plan: CachePlan) -> bool:
    """Check whether a cache is complete: its receipt and all files listed in it exist.

    Raises DataError if the receipt is damaged or a file has another size than listed.
    """
    if not plan.receipt.exists():
        return False
    for name, entry in cache_receipt(plan).files.items():
        file = plan.folder / name
        if not file.exists():
            return False
        if file.stat().st_size != entry.bytes:
            raise DataError(
                f"cache {file} is damaged: {file.stat().st_size} bytes, not {entry.bytes}",
                MAKE_AGAIN,
            )
    return True


def open_rows(plan: CachePlan, split: str) -> "Rows":
    """Open the rows of one split, once their file's hash is the receipt's.

    The hash comes first, for HDF5 reads flipped bits silently and can hang in a damaged file.
    """
    from pipelines.cache.rows import Rows

    path, entries = plan.folder / f"{split}.h5", cache_receipt(plan).files
    if path.name not in entries:
        raise DataError(f"{plan.receipt} does not list {path.name}", MAKE_AGAIN)
    try:
        digest = store.sha256_once(path)
    except OSError as error:
        raise DataError(f"cache {path} is not readable: {error.strerror}", MAKE_AGAIN) from error
    if digest != entries[path.name].sha256:
        raise DataError(
            f"cache {path} is damaged: it has another hash than when written", MAKE_AGAIN
        )
    return Rows(path)


def excluded(plan: CachePlan) -> dict[str, str]:
    """Return the reason of each source of a cache that could not be used, by its name."""
    return cache_receipt(plan).excluded


def clips_receipt(clips: Path) -> ClipsReceipt:
    """Return the receipt of a clips manifest, checked. Raises DataError if it is damaged."""
    return read_receipt(clips_receipt_path(clips), ClipsReceipt, clips.name)


def are_clips_whole(clips: Path) -> bool:
    """Check whether clips and their receipt exist. Raises DataError if their hashes differ."""
    if not (clips.exists() and clips_receipt_path(clips).exists()):
        return False
    if store.sha256_once(clips) != clips_receipt(clips).sha256:
        raise DataError(f"{clips} is not what avsnn wrote: it has another hash", MAKE_AGAIN)
    return True


def clips_of(plan: DataPlan) -> list[Clip]:
    """Read the clips of a plan that are not excluded, once their hash is the receipt's."""
    if not are_clips_whole(plan.clips):
        raise DataError(f"{plan.clips} is missing, or its receipt is", "avsnn prepare RECIPE")
    return read_clips(plan.clips)


def check_built_for(plan: DataPlan) -> None:
    """Raise DataError if a cache was built for other clips than the plan's."""
    for cache in plan.caches.values():
        if cache_receipt(cache).clips_sha256 != store.sha256_once(plan.clips):
            raise DataError(f"cache {cache.folder.name} was built for other clips", MAKE_AGAIN)


def check_same_content(run: Path, plan: DataPlan) -> None:
    """Raise DataError if clips or decoded sources are no longer those that a run was trained on.

    A file's content can change under the same name, size and time, so that the keys stay: the
    caches of now are compared with the hashes in the run's env.json.
    """
    if clips_receipt(plan.clips).classes not in (None, list(plan.manifest.classes)):
        raise DataError(
            f"the classes of {plan.clips.name} are not those of the data now", MAKE_AGAIN
        )
    environment = run_files.read_result(run / "env.json", schemas.Environment)
    now = {cache.folder.name: cache_receipt(cache) for cache in plan.caches.values()}
    hint = "bring the files back, or train the recipe again with --fresh"
    if (contents := environment.get("cache_contents")) is None:  # a run of an earlier version
        return
    if len(contents) != len(now):
        raise DataError(f"{run / 'env.json'} lists {len(contents)} caches, not {len(now)}", hint)
    for (name, receipt), content in zip(now.items(), contents, strict=True):
        if receipt.content_sha256 != content:
            raise DataError(
                f"the sources of cache {name} are not what run {run.name} was trained on: they "
                "decode to something else",
                hint,
            )
        if receipt.clips_sha256 != environment.get("clips_sha256"):
            raise DataError(
                f"the clips of run {run.name} are no longer those of its training", hint
            )
