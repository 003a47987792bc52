"""The files that a run's stages leave, sealed and chained, checked before anyone believes them.

Each is sealed and names the seals of those it was made with: trained.json that of env.json, every
result that of trained.json. Reading one checks the whole chain, and whether its numbers follow
from the predictions in it. A run is of one age, so in a sealed run a file without a seal is
refused.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipelines.disk import seal, store
from pipelines.errors import DataError
from pipelines.recipe.schema_messages import plain_words
from pipelines.results.schemas import Environment, ResultFile, Trained


def publish(path: Path, kind: type[ResultFile], content: Mapping[str, Any]) -> dict[str, Any]:
    """Write a file of a run, sealed, with the seals of what it was made with; returns it so."""
    made_with = {name: seal.of(store.read_json(path.parent / name)) for name in kind.MADE_WITH}
    return seal.publish(path, {**content, "made_with": made_with})


def read(path: Path, kind: type[ResultFile]) -> dict[str, Any]:
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


def _chain_fault(path: Path, kind: type[ResultFile], content: dict[str, Any]) -> str:
    """Say which of the files that a content was made with is another now; "" if none is."""
    sealed = seal.SEAL in content
    for name in kind.MADE_WITH:
        beside = (path.parent / name).resolve()
        if not sealed and not beside.exists():
            continue
        earlier = read(beside, KINDS[beside.name])
        if (seal.SEAL in earlier) != sealed:
            return f"it or {beside.name} was edited"
        if sealed and content.get("made_with", {}).get(name) != earlier[seal.SEAL]:
            return f"it was made with another {beside.name}"
    if kind is Environment and sealed:
        return _environment_fault(path, content)
    return ""


def _environment_fault(path: Path, content: dict[str, Any]) -> str:
    run, recipe = path.parent, path.parent / "recipe.yaml"
    # a copy elsewhere may be called what its owner likes; under runs/ the name is the key
    if run.parent == store.home() / "runs" and content.get("run") != run.name:
        return f"it is the run {content.get('run')}'s"
    if recipe.exists() and store.sha256(recipe) != content.get("recipe_sha256"):
        return "recipe.yaml beside it was edited: bring it back"
    return ""


KINDS: dict[str, type[ResultFile]] = {"env.json": Environment, "trained.json": Trained}
