"""The places of a recipe's clips and caches, and what their keys are computed from."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipelines.download.manifest import DatasetManifest
from pipelines.recipe.settings_from_signature import Section


@dataclass(frozen=True)
class CachePlan:
    """One modality's cache: its folder, its settings, and what its key is computed from."""

    modality: str
    folder: Path
    section: Section
    made_from: dict[str, Any]

    @property
    def receipt(self) -> Path:
        """The file whose presence shows that the cache is whole; it is published last."""
        return self.folder / "receipt.json"


@dataclass(frozen=True)
class DataPlan:
    """Clips and caches of a recipe.

    manifest: with the classes of the recipe's data. raw: the folder of the sources. is_local: that
    folder is the user's own and is read in place. made_from: the settings, a hash of the files that
    count, and hashes of the code. own_files: the hash of each user's file that is read in place, by
    name.
    """

    manifest: DatasetManifest
    raw: Path
    is_local: bool
    clips: Path
    data: Section
    caches: dict[str, CachePlan]
    made_from: dict[str, Any] = field(default_factory=dict)
    own_files: dict[str, str] = field(default_factory=dict)

    @property
    def max_excluded_share(self) -> float:
        """The share of clips that may be unusable: the recipe's, else the data set's own."""
        own: float | None = self.data.max_excluded_share  # type: ignore[attr-defined]
        return self.manifest.max_excluded_share if own is None else own
