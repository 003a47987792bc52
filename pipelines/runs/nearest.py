"""Explain a miss: the existing artefact nearest to the missing one, and in what they differ."""

from collections.abc import Iterable, Mapping
from typing import Any

from pipelines.plan.source_code import changed, shortly
from pipelines.recipe.recipe import by_path

SHOWN_DIFFERENCES = 3
# two entries of what an artefact was made from that are no settings
CODE, CACHES = "code", "caches"
OTHER_SETTINGS = "not with these settings; "


def nearest(missing: Mapping[str, Any], known: Iterable[tuple[str, dict[str, Any]]]) -> str:
    """Return the nearest of the known artefacts and its differences in words; "" if there is none.

    missing: what the missing artefact would be made from. known: name and the same of the others.
    """
    compared = [
        (name, *_compared(missing, settings), settings) for name, settings in known if settings
    ]
    if not compared:
        return ""
    # the fewest settings that differ, then the fewest files of code
    name, differences, files, settings = min(compared, key=lambda row: (len(row[1]), len(row[2])))
    code = f"was made with other code: {shortly(files)}" if files else ""
    if differences:
        also = f", and {code}" if code else ""
        return f"{OTHER_SETTINGS}{name} has {_shortened(differences)}{also}"
    if code:
        return f"{name} {code}"
    if CACHES in missing and settings.get(CACHES) != missing[CACHES]:
        return f"{name} was made from other data"
    return f"{name} is of another version of this stage or of an earlier one"


def _compared(missing: Mapping[str, Any], known: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Return the settings that differ, and the files of code that differ."""
    differences, files = _differences(missing, known), _other_code(missing, known)
    # the key of a cache's clips depends on the code too: name the cause, not its consequence
    return [d for d in differences if not (files and d.startswith("clips "))], files


def _other_code(missing: Mapping[str, Any], known: Mapping[str, Any]) -> list[str]:
    """Return the files of code that differ; none if one of the two has no record of its code."""
    then, now = known.get(CODE), missing.get(CODE)
    return changed(then, now) if isinstance(then, dict) and isinstance(now, dict) else []


def _shortened(differences: list[str]) -> str:
    more = len(differences) - SHOWN_DIFFERENCES
    shown = ", ".join(differences[:SHOWN_DIFFERENCES])
    return f"{shown} and {more} more" if more > 0 else shown or "nothing to compare"


def _differences(missing: Mapping[str, Any], known: Mapping[str, Any]) -> list[str]:
    """Return "a.b 3, not 4" for each setting that is 3 in the known and 4 in the missing one."""
    asked, there = (
        by_path({k: v for k, v in settings.items() if k not in (CODE, CACHES)})
        for settings in (missing, known)
    )
    return [
        f"{name} {there.get(name, 'absent')}, not {asked.get(name, 'absent')}"
        for name in {**asked, **there}
        if asked.get(name, "absent") != there.get(name, "absent")
    ]
