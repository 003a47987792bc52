"""Decoding in threads: the same results in the same order, bounded, and nothing left behind."""

import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from pipelines.cache import workers
from pipelines.cache.source_reader import Decoded, Reading, Refused, content_hash, decode, look_hash
from pipelines.cache.workers import AHEAD, decode_all, worker_count

TONES = [f"tone-{i % 10}-0-{i:04d}" for i in range(3 * AHEAD + 5)]


def reading(raw: Path, dataset: str = "digits-av", reads: str = "waveform") -> Reading:
    return Reading(dataset, raw, reads, 0.5, {})


def test_threads_give_what_one_gives_in_the_same_order(tmp_path):
    here = list(decode_all(reading(tmp_path), TONES, 0))
    elsewhere = list(decode_all(reading(tmp_path), TONES, 2))
    assert [item.name for item in here] == TONES
    for one, other in zip(here, elsewhere, strict=True):
        assert one.name == other.name and one.kind == other.kind == (8000, 1)
        assert np.array_equal(one.data, other.data)
        assert (one.content, one.look) == (other.content, other.look)


def test_a_bad_file_is_refused_with_its_reason_and_the_others_go_on(tmp_path):
    folder = tmp_path / "fsdd" / "recordings"
    folder.mkdir(parents=True)
    names = []
    for i in range(AHEAD + 3):
        names.append(f"fsdd/recordings/1_theo_{i}.wav")
        soundfile.write(tmp_path / names[-1], np.linspace(0, 0.1 + i / 1000, 800), 8000)
    (tmp_path / names[4]).write_bytes(b"RIFF")
    found = list(decode_all(reading(tmp_path, "spoken-digits-av"), names, 1))
    assert [type(item) for item in found] == [
        Refused if i == 4 else Decoded for i in range(AHEAD + 3)
    ]
    assert names[4] in found[4].reason


def test_a_reader_that_stops_early_leaves_no_thread(tmp_path):
    stream = decode_all(reading(tmp_path), TONES * 50, 2)
    next(stream)
    assert any(thread.name.startswith("decode") for thread in threading.enumerate())
    stream.close()
    assert not any(thread.name.startswith("decode") for thread in threading.enumerate())


def test_a_slow_writer_is_not_run_away_from(tmp_path, monkeypatch):
    """Memory is bounded: no more is decoded than so many sources ahead of the writer."""
    begun = []
    monkeypatch.setattr(workers, "decode", lambda _, source: begun.append(source) or source)
    stream = decode_all(reading(tmp_path), [str(i) for i in range(10_000)], 2)
    assert next(stream) == "0"
    time.sleep(0.05)
    assert len(begun) <= 2 * AHEAD + 1
    stream.close()


def test_as_many_threads_as_asked_for_or_one_a_core():
    assert worker_count(None) == min(len(os.sched_getaffinity(0)), 8)
    assert worker_count(3) == 3 and worker_count(0) == 0


def test_the_content_hash_is_of_the_values_and_their_shape():
    a = np.arange(12, dtype=np.float32)
    assert content_hash(a) == content_hash(a[::-1][::-1].copy())
    others = [a.reshape(3, 4), a + 1e-7 * (a == 3), a[:-1]]
    assert len({content_hash(x) for x in (a, *others)}) == 4


def picture(seed: int) -> Image.Image:
    small = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((120, 96), Image.Resampling.BICUBIC)


def test_a_rescaled_or_recoded_image_looks_alike_and_another_does_not(tmp_path):
    bits = []
    for seed in range(30):
        image = picture(seed)
        image.save(tmp_path / "x.jpg", quality=60)
        copies = [Image.open(tmp_path / "x.jpg"), image.resize((60, 48)), image.resize((240, 192))]
        looks = [look_hash(np.asarray(x)) for x in (image, *copies)]
        bits.append([bin(looks[0] ^ other).count("1") for other in looks[1:]])
        assert bin(looks[0] ^ look_hash(np.asarray(picture(seed + 100)))).count("1") > 12
    assert np.mean(bits) < 1.5  # of 64
    assert np.mean(np.array(bits) == 0) > 0.4


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 2, 3), (8, 8, 1), (9, 10, 3), (28, 28, 1)])
def test_small_and_even_images_have_a_hash(shape):
    assert look_hash(np.full(shape, 77, np.uint8)) == 0
    ramp = np.broadcast_to(np.arange(shape[1])[None, ::-1, None], shape).astype(np.uint8)
    if shape[1] >= 9:
        assert look_hash(ramp) == 2**64 - 1  # each block is brighter than its right neighbour


def test_events_are_handed_on_as_they_are(tmp_path):
    found = decode(reading(tmp_path, "n-mnist-spoken", "events"), "no-such.bin")
    assert isinstance(found, Refused) and "no-such.bin" in found.reason
