"""The second half of the leak audit: equal sounds and images under different names.

The first half (`pipelines.clips.leaks`) goes by what the dataset says of its clips; this one by
what was decoded.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.cache.rows import Rows


def audit(files: Mapping[str, Path]) -> dict[str, Any]:
    """Compare the test cache's sources with those of the other splits.

    Returns {"test": sources, "equal": how many decode to exactly what a training source does,
    "alike": how many images have the difference hash of a training image, null if no images}.
    """
    content, look = {}, {}
    for split, path in files.items():
        with Rows(path) as rows:
            content[split], look[split] = rows.content, rows.look
    learned = [split for split in files if split != "test"]
    known = np.concatenate([content[split] for split in learned])
    seen = np.concatenate([look[split] for split in learned])
    # an even image has no look
    alike = np.isin(look["test"], seen[seen != 0]).sum() if look["test"].any() else None
    return {
        "test": len(content["test"]),
        "equal": int(np.isin(content["test"], known).sum()),
        "alike": None if alike is None else int(alike),
    }


def content_sha256(files: Mapping[str, Path]) -> str:
    """Hash the names of a cache's sources and what they decoded to, of every file in its order.

    The same on every device and with every version of HDF5, unlike the files themselves.
    """
    digest = hashlib.sha256()
    for name, path in sorted(files.items()):
        with Rows(path) as rows:
            digest.update(json.dumps([name, rows.sources]).encode())
            digest.update(np.ascontiguousarray(rows.content, "<u8").tobytes())
    return digest.hexdigest()


def sentences(found: Mapping[str, Any], modality: str) -> list[str]:
    """Say an audit in lines for people."""
    n = found["test"]
    lines = [
        f"leak audit: {found['equal']} of {n} {modality} test sources ({found['equal'] / n:.1%}) "
        "are equal to one in training"
    ]
    if found["alike"] is not None:
        lines.append(
            f"leak audit: {found['alike']} of {n} test images ({found['alike'] / n:.1%}) look "
            "like one in training (same 64-bit difference hash)"
        )
    return lines


def not_cached(
    sources: Mapping[str, Sequence[str]], files: Mapping[str, Path], reasons: Mapping[str, str]
) -> dict[str, str]:
    """Return the sources that have no row, with the reason where this process has seen it."""
    found = {}
    for split, names in sources.items():
        with Rows(files[f"{split}.h5"]) as rows:
            for name in sorted(set(names) - set(rows.sources)):
                found[name] = reasons.get(name, "could not be used when the cache was begun")
    return found
