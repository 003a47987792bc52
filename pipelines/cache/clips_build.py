"""Make a recipe's clips: list the data set's pairs, check and split them, audit leaks, publish."""

from collections.abc import Callable, Sequence
from types import ModuleType

from pipelines import registry
from pipelines.cache import class_counts, excluded_share
from pipelines.cache.receipts import are_clips_whole, clips_of, clips_receipt_path
from pipelines.clips import class_names, in_place, leaks
from pipelines.clips.clips import SPLITS, Clip, write_clips
from pipelines.disk import seal, store
from pipelines.errors import DataError
from pipelines.plan.data_plan import DataPlan
from pipelines.recipe.settings_from_signature import keyword_arguments

Say = Callable[[str], None]
Check = Callable[[], None]


def make_clips(plan: DataPlan, say: Say, unchanged: Check) -> list[Clip]:
    """Read the manifest of a plan, or pair and split the dataset and publish it.

    unchanged: raises DataError if the files that were listed are no longer those of the plan.
    """
    with store.lock(plan.clips, waiting=say, what=plan.clips.name):
        if are_clips_whole(plan.clips):  # perhaps since another process released the lock
            return clips_of(plan)
        dataset = registry.load_module("dataset", plan.manifest.name)
        listed: list[Clip] = dataset.pairs(plan.raw, **keyword_arguments(dataset.pairs, plan.data))
        excluded = {clip.id: clip.excluded for clip in listed if clip.excluded}
        clips = [clip for clip in listed if not clip.excluded]
        excluded_share.check(excluded, len(listed), plan)
        _check_clips(listed, clips, plan.manifest.classes)
        # the receipt is published last: without it the clips do not count as whole
        unchanged()
        in_place.keep(plan.clips, plan.own_files)
        write_clips(plan.clips, listed)
        leak_audit, remarks = leaks.audit(clips), _remarks(dataset, plan)
        counts = {split: sum(clip.split == split for clip in clips) for split in SPLITS}
        seal.publish(
            clips_receipt_path(plan.clips),
            {
                "stage": "clips",
                "artefact": plan.clips.name,
                "made_from": plan.made_from,
                "versions": store.versions(),
                "clips": counts,
                "excluded": excluded,
                "leak_audit": leak_audit,
                "remarks": remarks,
                "protocol": _protocol(dataset, plan),
                "classes": list(plan.manifest.classes),
                "sha256": store.sha256(plan.clips),
            },
        )
        say(f"clips: {', '.join(f'{n} {split}' for split, n in counts.items())}")
        excluded_share.report(excluded, len(listed), say)
        groups_from = getattr(dataset, "GROUPS_FROM", "")
        for line in (*remarks, *leaks.sentences(leak_audit, groups_from)):
            say(line)
        return clips


def _protocol(dataset: ModuleType, plan: DataPlan) -> str | None:
    """Return the protocol that the clips are split by, which a data set may choose itself."""
    if hasattr(dataset, "protocol_of"):
        chosen: str = dataset.protocol_of(
            plan.raw, **keyword_arguments(dataset.protocol_of, plan.data)
        )
        return chosen
    return getattr(plan.data, "protocol", None)


def _remarks(dataset: ModuleType, plan: DataPlan) -> list[str]:
    """Return the data set's remarks on its files; none if its module has no `remarks`."""
    if not hasattr(dataset, "remarks"):
        return []
    remarks: list[str] = dataset.remarks(plan.raw, **keyword_arguments(dataset.remarks, plan.data))
    return remarks


def _check_clips(listed: list[Clip], clips: list[Clip], classes: Sequence[str]) -> None:
    if len({clip.id for clip in listed}) != len(listed):
        raise DataError("the dataset gives two clips one id", "this is a fault of the dataset")
    for split in SPLITS:
        if not any(clip.split == split for clip in clips):
            raise DataError(f"the split {split!r} has no clips", "check the protocol's settings")
    if any(not 0 <= clip.label < len(classes) for clip in clips):
        raise DataError("a clip's label is not a class of the manifest", "compare the two")
    class_names.check(classes, "the data set")
    class_counts.of_clips(clips, classes)
    # one sound with one picture under two labels: a network can learn neither
    first: dict[tuple[str, str], Clip] = {}
    for clip in clips:
        earlier = first.setdefault((clip.audio, clip.visual), clip)
        if earlier.label != clip.label:
            labels = f"{classes[earlier.label]} and {classes[clip.label]}"
            raise DataError(
                f"{earlier.id} and {clip.id} are one pair with two labels: {labels}",
                "correct one of them or leave both out",
            )
