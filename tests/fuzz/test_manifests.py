"""Clips and receipts: damage is refused, or what is read is what was written."""

import contextlib
import json
from pathlib import Path

from hypothesis import strategies as st

from pipelines.cache import class_counts, excluded_share, receipts
from pipelines.clips import in_place
from pipelines.clips.clips import read_clips
from pipelines.disk import seal
from pipelines.runs import status
from tests.fuzz.campaign import Campaign
from tests.fuzz.mutations import changed, damaged_json, damaged_lines
from tests.fuzz.prepared import Prepared
from tests.fuzz.well_formed import check_clips


def rows_of(path: Path) -> list[object]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_manifests(campaign: Campaign, prepared: Prepared) -> None:
    clips = prepared.plan.clips
    whole, content = receipts.clips_of(prepared.plan), clips.read_bytes()

    def attempt(bad: bytes) -> None:
        clips.write_bytes(bad)
        assert receipts.clips_of(prepared.plan) == whole
        assert class_counts.of_plan(prepared.plan)
        assert bad == content

    campaign(damaged_lines(rows_of(clips)), attempt)


def test_manifests_whose_hash_fits(campaign: Campaign, prepared: Prepared, tmp_path: Path) -> None:
    rows = rows_of(prepared.plan.clips)[:6]
    full = {"speaker": "a", "start_s": 0.5, "end_s": 1.5, "azimuth_deg": 12.5, "excluded": ""}
    rows = [{**dict(row), **full} for row in rows]  # type: ignore[call-overload]

    def attempt(bad: bytes) -> None:
        (tmp_path / "clips.jsonl").write_bytes(bad)
        check_clips(read_clips(tmp_path / "clips.jsonl"))

    campaign(damaged_lines(rows), attempt)


def read_all(prepared: Prepared) -> object:
    """Ask all that is read from receipts without the rows of a cache."""
    plan = prepared.plan
    of_caches = [receipts.cache_receipt(cache) for cache in plan.caches.values()]
    assert all(receipts.is_whole(cache) for cache in plan.caches.values())
    receipts.check_built_for(plan)
    receipts.check_same_content(prepared.run, plan)
    excluded_share.check_prepared(plan)
    return of_caches, receipts.clips_receipt(plan.clips), class_counts.of_plan(plan)


def test_receipts(campaign: Campaign, prepared: Prepared) -> None:
    path = next(iter(prepared.plan.caches.values())).receipt
    whole, content = read_all(prepared), json.loads(path.read_bytes())

    def attempt(bad: bytes) -> None:
        path.write_bytes(bad)
        status.status(prepared.recipe, prepared.run)  # a damaged one is a line of it
        assert read_all(prepared) == whole

    campaign(damaged_json(content), attempt)


def test_receipts_of_clips(campaign: Campaign, prepared: Prepared) -> None:
    path = receipts.clips_receipt_path(prepared.plan.clips)
    whole, content = read_all(prepared), json.loads(path.read_bytes())

    def attempt(bad: bytes) -> None:
        path.write_bytes(bad)
        status.status(prepared.recipe, prepared.run)
        assert read_all(prepared) == whole

    campaign(damaged_json(content), attempt)


def test_receipts_sealed_anew(campaign: Campaign, prepared: Prepared) -> None:
    caches = [cache.receipt for cache in prepared.plan.caches.values()]
    paths = [*caches, receipts.clips_receipt_path(prepared.plan.clips)]
    contents = [json.loads(path.read_bytes()) for path in paths]
    both = [changed(content) for content in contents]

    def attempt(bad: tuple[object, ...]) -> None:
        for path, content in zip(paths, bad, strict=True):
            forge(path, content)
        status.status(prepared.recipe, prepared.run)
        read_all(prepared)

    one = st.integers(0, len(paths) - 1).flatmap(
        lambda i: st.tuples(*(both[k] if k == i else st.just(c) for k, c in enumerate(contents)))
    )
    campaign(one, attempt)


def forge(path: Path, content: object) -> None:
    """Write JSON with a seal that fits, as far as it can have one."""
    if isinstance(content, dict):
        content = dict(content)
        with contextlib.suppress(ValueError):
            content["seal"] = seal.of(content)
    path.write_text(json.dumps(content), encoding="utf-8")


def test_what_is_kept_of_own_files(campaign: Campaign, prepared: Prepared) -> None:
    files = {"dog/1.wav": "0" * 64, "dog/2.wav": "is empty", "rain/1.wav": "1" * 64}

    def attempt(bad: bytes) -> None:
        in_place.kept_path(prepared.plan.clips).write_bytes(bad)
        assert isinstance(in_place.since(prepared.plan.clips, files), str)

    campaign(damaged_json(files), attempt)
