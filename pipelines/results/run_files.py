"""Publish and read the JSON files of a run, which are sealed and chained.

Each file holds its own seal and the seals of the files it was made with: trained.json that of
env.json, every result that of trained.json. Reading a file checks the whole chain, and whether its
figures follow from its predictions. All files of a run are sealed or, from earlier versions, none:
a mixture is refused, for removing a seal must not hide an edit.
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
    """Publish a file of a run with its seal and those it was made with; returns what is written."""
    made_with = {name: seal.of(store.read_json(path.parent / name)) for name in kind.MADE_WITH}
    return seal.publish(path, {**content, "made_with": made_with})


def read_result(path: Path, kind: type[ResultFile]) -> dict[str, Any]:
    """Return the content of a result file, checked.

    Raises DataError, in one line, if the file is missing or damaged, does not fit its schema, holds
    a figure that does not follow from its predictions, or was made with other files than those
    beside it.
    """
    content = seal.read_sealed(path, kind.AGAIN)
    try:
        kind.model_validate(content)
    except ValidationError as error:
        fault = error.errors()[0]
        fault_text = " ".join([".".join(map(str, fault["loc"])), *plain_words(fault)]).strip()
        raise DataError(f"{path} is not readable: {fault_text}", kind.AGAIN) from None
    if contradiction := kind.faults(content) or _chain_fault(path, kind, content):
        raise DataError(f"{path} is not what avsnn wrote: {contradiction}", kind.AGAIN)
    return content


def _chain_fault(path: Path, kind: type[ResultFile], content: dict[str, Any]) -> str:
    """Return which of the files that a content was made with has changed since; "" if none has."""
    sealed = seal.SEAL in content
    for name in kind.MADE_WITH:
        beside = (path.parent / name).resolve()
        if not sealed and not beside.exists():  # a run of an earlier version
            continue
        # read checks that file's own chain: trained.json leads on to env.json
        earlier = read_result(beside, KINDS[beside.name])
        if (seal.SEAL in earlier) != sealed:
            return f"it or {beside.name} was edited"
        if sealed and content.get("made_with", {}).get(name) != earlier[seal.SEAL]:
            return f"it was made with another {beside.name}"
    if kind is Environment and sealed:
        return _environment_fault(path, content)
    return ""


def _environment_fault(path: Path, content: dict[str, Any]) -> str:
    run, recipe = path.parent, path.parent / "recipe.yaml"
    # under runs/ the name is the key; a copy elsewhere may have any name
    if run.parent == store.home() / "runs" and content.get("run") != run.name:
        return f"it is the run {content.get('run')}'s"
    if recipe.exists() and store.sha256(recipe) != content.get("recipe_sha256"):
        return "recipe.yaml beside it was edited: bring it back"
    return ""


KINDS: dict[str, type[ResultFile]] = {"env.json": Environment, "trained.json": Trained}
