"""In which settings several recipes differ."""

import json
from collections.abc import Mapping, Sequence
from typing import Any


def differing(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """Name the settings, by dotted path, that are not the same in all of these, in their order."""
    return [
        name
        for name in dict.fromkeys(key for one in settings for key in one)
        if len({json.dumps(one.get(name), sort_keys=True, default=str) for one in settings}) > 1
    ]
