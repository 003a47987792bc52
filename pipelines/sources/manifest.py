"""Dataset manifests: what `data_manifests/<name>.yaml` says of a dataset, checked when read."""

import json
from typing import Annotated, Literal

from pydantic import StringConstraints, ValidationError

from pipelines import registry, yaml_reader
from pipelines.errors import DataError
from pipelines.faults import render
from pipelines.schema_faults import faults_of
from pipelines.signature import Section

RelativePath = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$")
]
Md5 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class FileSource(Section):
    """One file, fetched from the first URL that answers. null: unknown, never a guess."""

    path: RelativePath
    urls: tuple[str, ...]
    bytes: int | None
    md5: Md5 | None = None
    sha256: Sha256 | None = None
    content_md5: Md5 | None = None


class FolderSource(Section):
    """A folder of files, fetched as an archive or copied from a mirror.

    archive_folder: where the folder stands in the archive. tree_sha256: over the sorted lines
    "<relative path> <sha256>" of all its files.
    """

    path: RelativePath
    archive_urls: tuple[str, ...]
    archive_folder: str
    archive_sha256: Sha256 | None
    files: int
    bytes: int
    tree_sha256: Sha256


class DatasetManifest(Section):
    """One dataset: what it is, where it comes from, under which terms."""

    name: str
    version: str
    title: str
    licence: str
    citation: str
    access: Literal["open", "form", "account", "offline"]
    notes: str = ""
    classes: tuple[str, ...]
    protocols: dict[str, str]
    files: tuple[FileSource, ...] = ()
    folders: tuple[FolderSource, ...] = ()

    def total_bytes(self) -> int | None:
        """Sum the sizes of all sources; None where one is unknown."""
        sizes = [f.bytes for f in self.files] + [f.bytes for f in self.folders]
        known = [size for size in sizes if size is not None]
        return sum(known) if len(known) == len(sizes) else None


def load(name: str) -> DatasetManifest:
    """Read a dataset's manifest. Raises UsageError (no such dataset) or DataError (faults)."""
    if name not in registry.names("dataset"):
        registry.load("dataset", name)  # raises with the nearest name
    path = registry.bundled("data_manifests") / f"{name}.yaml"
    document = yaml_reader.read(path, DataError)
    try:
        manifest = DatasetManifest.model_validate_json(json.dumps(document.data))
    except ValidationError as failure:
        faults = faults_of(document, failure, DatasetManifest)
        raise DataError(render(document, faults), "correct the dataset's manifest") from None
    if manifest.name != name:
        raise DataError(f"{path} names the dataset {manifest.name!r}", "file and name must agree")
    return manifest
