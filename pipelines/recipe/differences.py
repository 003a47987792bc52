"""The settings in which several recipes differ."""

import json
from collections.abc import Mapping, Sequence
from typing import Any


def differing(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """List the dotted paths of the settings that are not equal in all recipes, in their order."""
    return [
        name
        for name in dict.fromkeys(key for recipe in settings for key in recipe)
        if len({json.dumps(recipe.get(name), sort_keys=True, default=str) for recipe in settings})
        > 1
    ]
