"""Check the folder of an export: may it be written to, what does it hold? Imports no torch."""

from pathlib import Path
from typing import Any

from pipelines.disk import store
from pipelines.disk.paths import is_kept_by_a_stage
from pipelines.errors import DataError, UsageError
from pipelines.results import run_files, schemas

FILES = {"model.json", "weights.safetensors", "network.nir"}


def kept(folder: Path, run: Path, *, replace: bool) -> dict[str, Any] | None:
    """Return model.json of a whole export of this run, None if the folder is to be written.

    Raises UsageError for what must not be replaced: another run's export without `replace`, and in
    any case a folder with other files.
    """
    if folder != run.absolute() / "export" and is_kept_by_a_stage(folder, store.home()):
        raise UsageError(
            f"{folder} is in a folder that avsnn keeps itself", "choose another --output"
        )
    if not folder.exists():
        return None
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder", "choose another --output")
    # the files of others are never deleted, not even with --force
    names = {path.name for path in folder.iterdir()}
    if others := sorted(names - FILES):
        raise UsageError(f"{folder} holds {others[0]!r}, of no export", "choose another --output")
    if replace or not names:
        return None
    trained = run_files.read_result(run / "trained.json", schemas.Trained)
    try:
        content = store.read_json(folder / "model.json")
        is_ours = content["weights_sha256"] == trained["sha256"]
        whole = store.sha256(folder / "weights.safetensors") == content["weights"]["sha256"]
        # a writer that was killed may have left a part: it is written again
        if is_ours and whole and content["format_version"] == 1 and "check" in content:
            return dict(content)
    except (DataError, OSError, LookupError, TypeError):  # a damaged or hostile model.json
        is_ours = False
    if is_ours or folder == run.absolute() / "export":
        return None
    raise UsageError(f"{folder} holds another export", "--force replaces it")
