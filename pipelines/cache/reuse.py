"""The second half of the leak audit: equal sounds and images under different names.

The first half (`pipelines.clips.leaks`) compares the groups, speakers and times that the data set
lists; this one compares the decoded content.
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

    Returns {"test": number of sources, "equal": how many have the decoded content of a source of
    the other splits, "alike": how many images have the difference hash of an image there; None
    where no source has one}.
    """
    content, look = {}, {}
    for split, path in files.items():
        with Rows(path) as rows:
            content[split], look[split] = rows.content, rows.look
    learned = [split for split in files if split != "test"]
    known_content = np.concatenate([content[split] for split in learned])
    known_looks = np.concatenate([look[split] for split in learned])
    # 0 stands for "no look": sounds, and images of one grey level
    alike = (
        np.isin(look["test"], known_looks[known_looks != 0]).sum() if look["test"].any() else None
    )
    return {
        "test": len(content["test"]),
        "equal": int(np.isin(content["test"], known_content).sum()),
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


def sentences(audit_counts: Mapping[str, Any], modality: str) -> list[str]:
    """Return an audit as lines for people."""
    n, equal, alike = (audit_counts[name] for name in ("test", "equal", "alike"))
    lines = [
        f"leak audit: {equal} of {n} {modality} test sources ({equal / n:.1%}) "
        "are equal to one in training"
    ]
    if alike is not None:
        lines.append(
            f"leak audit: {alike} of {n} test images ({alike / n:.1%}) look "
            "like one in training (same 64-bit difference hash)"
        )
    return lines


def not_cached(
    sources: Mapping[str, Sequence[str]], files: Mapping[str, Path], reasons: Mapping[str, str]
) -> dict[str, str]:
    """Return the sources that have no row, with the reason if this process decoded it."""
    left_out = {}
    for split, names in sources.items():
        with Rows(files[f"{split}.h5"]) as rows:
            for name in sorted(set(names) - set(rows.sources)):
                # split files that an earlier, killed process finished: its reasons died with it
                left_out[name] = reasons.get(name, "could not be used when the cache was begun")
    return left_out
