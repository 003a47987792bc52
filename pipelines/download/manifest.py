"""Manifests of data sets: the schema of `data_manifests/<name>.yaml`, checked when it is read."""

import json
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, ValidationError

from pipelines import registry
from pipelines.errors import DataError
from pipelines.recipe import yaml_reader
from pipelines.recipe.messages import render
from pipelines.recipe.schema_messages import faults_of
from pipelines.recipe.settings_from_signature import Section

# plain ASCII without a leading dot: it cannot leave its folder, hide or be taken for an option
RelativePath = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$")
]
Md5 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class FileSource(Section):
    """One file, fetched from the first URL that answers. null is unknown, never a guess."""

    path: RelativePath
    urls: tuple[str, ...]
    bytes: int | None
    md5: Md5 | None = None
    sha256: Sha256 | None = None
    content_md5: Md5 | None = None


class FolderSource(Section):
    """A folder of files, unpacked from an archive or copied from a mirror.

    archives: the archive; several are the parts of one split zip, in order. archive_folder: the
    path of the folder in the archive, at its top or below one other folder; "" if it is the whole.
    files, bytes: upper bounds on the unpacked folder; null is unknown. index: the table in
    data_manifests that lists its files (paths relative to it, or below its path); files that the
    table does not list are left out. tree_sha256: the hash of the sorted lines "<relative path>
    <sha256>" of all its files. holds: names that a copy of the folder is recognised by: one of them
    stands directly in it.
    """

    path: RelativePath
    archives: tuple[FileSource, ...] = ()
    archive_folder: str = ""
    files: int | None = None
    bytes: int | None = None
    index: RelativePath | None = None
    tree_sha256: Sha256 | None = None
    holds: tuple[str, ...] = ()


class TableSource(Section):
    """Many files with an address each: a prefix of url_prefixes, then the path in the index.

    index: the table in data_manifests (paths relative to the folder, or below its path). path: the
    folder that the files go to.
    """

    path: RelativePath
    index: RelativePath
    url_prefixes: tuple[str, ...]


class RecordSource(Section):
    """The files of a Zenodo record, whose list its API returns at the first download.

    The list is kept; a record that later lists other files is refused. Archives are unpacked.
    path: the folder that the files go to.
    """

    path: RelativePath
    api: str


class DatasetManifest(Section):
    """One data set: its title, licence, citation, classes, protocols and sources.

    by_hand: the manual step where access is "form" or "account". max_excluded_share: the share of
    clips that may be unreadable before `prepare` stops.
    """

    name: str
    version: str
    title: str
    licence: str
    citation: str
    access: Literal["open", "form", "account", "offline"]
    notes: str = ""
    by_hand: str = ""
    classes: tuple[str, ...]
    protocols: dict[str, str]
    max_excluded_share: Annotated[float, Field(ge=0, le=1)] = 0.0
    files: tuple[FileSource, ...] = ()
    folders: tuple[FolderSource, ...] = ()
    tables: tuple[TableSource, ...] = ()
    records: tuple[RecordSource, ...] = ()


Source = FileSource | FolderSource | TableSource | RecordSource


def sources(manifest: DatasetManifest) -> tuple[Source, ...]:
    """Return all sources of a data set."""
    return (*manifest.files, *manifest.folders, *manifest.tables, *manifest.records)


def load_manifest(name: str) -> DatasetManifest:
    """Read a data set's manifest. Raises UsageError (no such data set) or DataError (faults)."""
    if name not in registry.names("dataset"):
        registry.load_module("dataset", name)  # raises with the nearest name
    path = registry.bundled("data_manifests") / f"{name}.yaml"
    document = yaml_reader.read_yaml(path, DataError)
    try:
        manifest = DatasetManifest.model_validate_json(json.dumps(document.data))
    except ValidationError as failure:
        faults = faults_of(document, failure, DatasetManifest)
        raise DataError(render(document, faults), "correct the dataset's manifest") from None
    if manifest.name != name:
        raise DataError(f"{path} names the dataset {manifest.name!r}", "file and name must agree")
    paths = [source.path for source in sources(manifest)]
    # one below another would make the outer one seem changed as soon as the inner one comes
    for place in paths:
        if sum(f"{other}/".startswith(f"{place}/") for other in paths) > 1:
            raise DataError(f"{path}: two sources at or below {place}", "give each its own place")
    return manifest
