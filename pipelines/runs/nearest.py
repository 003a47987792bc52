"""What is nearest to an artefact that is not there, and in what it differs: why it is a miss."""

from collections.abc import Iterable, Mapping
from typing import Any

from pipelines.plan.source_code import changed, shortly
from pipelines.recipe.recipe import by_path

SHOWN_DIFFERENCES = 3
# parts of what an artefact was made from that nobody sets
CODE, CACHES = "code", "caches"
OTHER_SETTINGS = "not with these settings; "


def nearest(wanted: Mapping[str, Any], known: Iterable[tuple[str, dict[str, Any]]]) -> str:
    """Say which of the known artefacts is nearest, and in what it differs; "" if there is none."""
    found = [(name, *_compared(wanted, settings), settings) for name, settings in known if settings]
    if not found:
        return ""
    name, differences, files, settings = min(found, key=lambda one: (len(one[1]), len(one[2])))
    code = f"was made with other code: {shortly(files)}" if files else ""
    if differences:
        also = f", and {code}" if code else ""
        return f"{OTHER_SETTINGS}{name} has {_said(differences)}{also}"
    if code:
        return f"{name} {code}"
    if CACHES in wanted and settings.get(CACHES) != wanted[CACHES]:
        return f"{name} was made from other data"
    return f"{name} is of another version of this stage or of an earlier one"


def _compared(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """List the settings that differ, and the files of code that do."""
    differences, files = _differences(wanted, found), _other_code(wanted, found)
    # of a cache: its clips are others because the code is another
    return [d for d in differences if not (files and d.startswith("clips "))], files


def _other_code(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """Name the files of code that differ; none where one of the two has no record of them."""
    then, now = found.get(CODE), wanted.get(CODE)
    return changed(then, now) if isinstance(then, dict) and isinstance(now, dict) else []


def _said(differences: list[str]) -> str:
    more = len(differences) - SHOWN_DIFFERENCES
    shown = ", ".join(differences[:SHOWN_DIFFERENCES])
    return f"{shown} and {more} more" if more > 0 else shown or "nothing to compare"


def _differences(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """List "a.b 3, not 4" for each setting that differs."""
    one, other = (
        by_path({k: v for k, v in settings.items() if k not in (CODE, CACHES)})
        for settings in (wanted, found)
    )
    return [
        f"{name} {other.get(name, 'absent')}, not {one.get(name, 'absent')}"
        for name in {**one, **other}
        if one.get(name, "absent") != other.get(name, "absent")
    ]
