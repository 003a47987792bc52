"""CREMA-D's real lists: the split of OGM-GE, and who and what is on both sides of it."""

import shutil
from collections import Counter

import pytest

from pipelines import registry
from pipelines.clips import leaks
from pipelines.datasets import crema_d
from pipelines.download import manifest
from pipelines.download.index import read_index
from pipelines.download.verify import hash_file


@pytest.fixture(scope="module")
def clips(mirror, tmp_path_factory):
    """The clips of OGM-GE's split, from the real lists and empty files of the published names."""
    raw = tmp_path_factory.mktemp("crema-d")
    shutil.copytree(mirror / "crema-d-ogm-split", raw / "crema-d-ogm-split")
    for path in read_index(registry.bundled("data_manifests") / "crema-d.tsv").files:
        (raw / path).parent.mkdir(exist_ok=True)
        (raw / path).touch()
    return crema_d.pairs(raw)


def test_the_lists_are_those_of_the_manifest(mirror):
    for source in manifest.load_manifest("crema-d").files:
        assert hash_file(mirror / source.path, "sha256") == source.sha256


def test_the_split_is_6698_to_744_and_covers_the_index(clips):
    assert Counter(clip.split == "test" for clip in clips) == {False: 6698, True: 744}
    assert not any(clip.excluded for clip in clips)
    counts = Counter(crema_d.EMOTIONS[c.label] for c in clips if c.split == "test")
    assert counts == {"SAD": 140, "FEA": 133, "DIS": 129, "HAP": 123, "NEU": 114, "ANG": 105}
    counts = Counter(crema_d.EMOTIONS[c.label] for c in clips if c.split != "test")
    assert counts == {"ANG": 1166, "HAP": 1148, "DIS": 1142, "FEA": 1138, "SAD": 1131, "NEU": 973}
    assert sum(clip.split == "validation" for clip in clips) == pytest.approx(670, abs=3)


def test_all_91_actors_are_on_both_sides_and_128_clips_have_a_twin(clips):
    found = leaks.audit(clips)
    assert found["shared"]["speaker"] == 744 and found["values_shared"]["speaker"] == 91
    # the same actor, sentence and emotion at another intensity
    assert found["shared"]["group"] == 128
