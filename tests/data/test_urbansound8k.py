"""UrbanSound8K on its real table, 15 of its original sounds, and 160 that others resampled."""

import csv
import hashlib
from collections import Counter

import librosa
import numpy as np
import pytest
import soundfile

from pipelines import registry
from pipelines.clips import leaks
from pipelines.datasets import _urbansound, urbansound8k
from pipelines.download.index import read_index
from pipelines.readers.sound import read_wav, to_mono

SUBSET = "urbansound8k-subset"


@pytest.fixture(scope="module")
def table(mirror):
    """The clips of the whole set; its sounds need not be there to split it."""

    def pairs(**settings):
        clips = urbansound8k.pairs(mirror / SUBSET, **settings)
        return [type(clip)(**{**vars(clip), "excluded": ""}) for clip in clips]

    return pairs


def test_the_real_table_has_8732_slices_of_1297_recordings(mirror):
    content = (mirror / SUBSET / urbansound8k.CSV).read_bytes()
    assert hashlib.md5(content).hexdigest() == "5015c37ce7d54c0bb8cd40a0b5ee2074"
    rows = list(csv.DictReader(content.decode().splitlines()))
    assert len(rows) == 8732 and len({row["fsID"] for row in rows}) == 1297
    # the folds that the README publishes, and those that our index of files gives
    published = [873, 888, 925, 990, 936, 823, 838, 806, 816, 837]
    assert [Counter(row["fold"] for row in rows)[str(i)] for i in range(1, 11)] == published
    assert _urbansound.folds() == {
        row["slice_file_name"].removesuffix(".wav"): int(row["fold"]) for row in rows
    }


def test_a_random_split_leaks_as_much_as_others_found(table):
    """20 seeds: 95.4 % (± 0.3) share a recording, 71.0 % (± 0.7) overlap in time."""
    found = [leaks.audit(table(protocol="paper-7:3", seed=seed)) for seed in range(20)]
    shared = [100 * f["shared"]["group"] / f["test"] for f in found]
    overlapping = [100 * f["overlapping_in_time"] / f["test"] for f in found]
    assert all(abs(f["test"] - 2620) < 10 for f in found)
    assert np.mean(shared) == pytest.approx(95.4, abs=0.3)
    assert np.mean(overlapping) == pytest.approx(71.0, abs=0.7)


def test_sorted_file_names_leak_as_much_as_others_found(table):
    found = leaks.audit(table(protocol="authors-order"))
    assert round(100 * found["shared"]["group"] / found["test"], 1) == 5.6


def test_five_recordings_are_in_two_official_folds(table):
    across = {"106905", "132016", "176638", "180937", "77751"}
    folds = {}
    for clip in table():
        folds.setdefault(clip.group, set()).add(clip.audio.split("/")[2])
    assert {group for group, found in folds.items() if len(found) > 1} == across
    # so the audit of the official folds finds them where they meet, and nothing else
    met = set()
    for fold in range(1, 11):
        clips = table(protocol="official-folds", test_fold=fold)
        test = {c.group for c in clips if c.split == "test"}
        shared = test & {c.group for c in clips if c.split != "test"}
        assert leaks.audit(clips)["values_shared"]["group"] == len(shared)
        met |= shared
    assert met == across


def test_grouped_leaks_nothing(table):
    found = leaks.audit(table(protocol="grouped-fsid"))
    assert found["shared"]["group"] == found["overlapping_in_time"] == 0
    assert found["test"] / 8732 == pytest.approx(0.3, abs=0.03)


ORIGINALS = (
    "100263-2-0-117",
    "100263-2-0-121",
    "100263-2-0-126",
    "100648-1-0-0",
    "100648-1-1-0",
    "100648-1-2-0",
    "100652-3-0-0",
    "100652-3-0-1",
    "100652-3-0-2",
    "100852-0-0-0",
    "100852-0-0-1",
    "100852-0-0-10",
    "101848-9-0-0",
    "101848-9-0-1",
    "101848-9-0-2",
)


@pytest.mark.parametrize("name", ORIGINALS)
def test_an_original_decodes_to_what_soundfile_and_librosa_give(mirror, name):
    path = mirror / "urbansound8k-originals" / f"{name}.wav"
    index = read_index(registry.bundled("data_manifests") / "urbansound8k.tsv")
    (entry,) = (e for p, e in index.files.items() if p.endswith(f"/{name}.wav"))
    content = path.read_bytes()
    assert (len(content), hashlib.md5(content).hexdigest()) == entry
    waveform, rate = read_wav(path)
    expected, expected_rate = soundfile.read(path, dtype="float32", always_2d=True)
    assert rate == expected_rate
    np.testing.assert_array_equal(waveform, expected.T)
    theirs, _ = librosa.load(path, sr=None, mono=True)
    np.testing.assert_allclose(to_mono(waveform), theirs, atol=1e-6)
