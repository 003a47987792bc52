"""The folder of an export: whether it may be written to, and what it holds already. No torch."""

from pathlib import Path
from typing import Any

from pipelines.disk import store
from pipelines.disk.paths import is_kept_by_a_stage
from pipelines.errors import DataError, UsageError
from pipelines.results import run_files, schemas

FILES = {"model.json", "weights.safetensors", "network.nir"}


def kept(folder: Path, run: Path, *, replace: bool) -> dict[str, Any] | None:
    """Return what a folder's whole export of this run says, None if it is to be written.

    Raises UsageError for what must not be replaced: another run's export without `replace`, and
    ever what is no export.
    """
    if folder != run.absolute() / "export" and is_kept_by_a_stage(folder, store.home()):
        raise UsageError(f"{folder} is in a folder that avsnn keeps itself", "choose another")
    if not folder.exists():
        return None
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder", "choose another --output")
    names = {path.name for path in folder.iterdir()}
    if others := sorted(names - FILES):
        raise UsageError(f"{folder} holds {others[0]!r}, of no export", "choose another --output")
    if replace or not names:
        return None
    trained = run_files.read(run / "trained.json", schemas.Trained)
    try:
        said = store.read_json(folder / "model.json")
        is_ours = said["weights_sha256"] == trained["sha256"]
        whole = store.sha256(folder / "weights.safetensors") == said["weights"]["sha256"]
        if is_ours and whole and said["format_version"] == 1 and "check" in said:
            return dict(said)
    except (DataError, OSError, LookupError, TypeError):
        is_ours = False
    if is_ours or folder == run.absolute() / "export":
        return None
    raise UsageError(f"{folder} holds another export", "--force replaces it")
