"""Limit the share of a data set that may be unusable. Imports no torch."""

from collections.abc import Callable, Mapping

from pipelines.cache.receipts import clips_of, clips_receipt, excluded
from pipelines.errors import DataError
from pipelines.plan.data_plan import DataPlan

SETTING = "data.max_excluded_share"
SHOWN = 5


def check(left_out: Mapping[str, str], of: int, plan: DataPlan) -> None:
    """Raise DataError if a larger share is left out than the recipe, or the manifest, allows.

    left_out: the reason by clip or source.
    """
    limit, name = plan.max_excluded_share, plan.manifest.name
    if len(left_out) <= limit * of:
        return
    # a reader's reason often begins with the name already
    reasons = [f"{what}: {why}" if what not in why else why for what, why in left_out.items()]
    mend = "mend or remove" if plan.is_local else "fetch again"
    if len(reasons) == 1:
        raise DataError(
            reasons[0],
            f"{mend} the file, or set {SETTING} above {1 / of:.2g}, the share of this one; "
            f"it is {limit:g}",
        )
    lines = [f"{SETTING}: {len(left_out)} of {of} cannot be used, at most {limit:.1%} may:"]
    lines += reasons[:SHOWN]
    if len(reasons) > SHOWN:
        lines.append(f"… and {len(reasons) - SHOWN} more")
    raise DataError("\n".join(lines), f"{mend} them, or raise {SETTING}; {name} was not prepared")


def check_prepared(plan: DataPlan) -> None:
    """Raise DataError if prepared clips or caches lack a larger share than the recipe allows.

    The limit is in no key: they may have been made under another recipe's higher limit.
    """
    left_out, clips = clips_receipt(plan.clips).excluded, clips_of(plan)
    check(left_out, len(clips) + len(left_out), plan)
    for modality, cache in plan.caches.items():
        sources = {getattr(clip, modality) for clip in clips} - {""}
        check(excluded(cache), len(sources), plan)


def report(left_out: Mapping[str, str], of: int, say: Callable[[str], None]) -> None:
    """Report how many of the sources are left out, and the reasons of the first of them."""
    if left_out:
        say(f"left out: {len(left_out)} of {of}")
    for name, why in list(left_out.items())[:SHOWN]:
        say(f"  {name}: {why}")
