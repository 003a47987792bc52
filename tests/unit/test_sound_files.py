"""Headers that do not know, or do not tell, how much sound there is."""

import numpy as np
import pytest
import soundfile

from pipelines.cache.source_reader import Decoded, Reading, decode
from pipelines.errors import DataError
from pipelines.readers.sound import read_wav
from pipelines.readers.spans import header, read_span

RATE_HZ = 16000


def noise(samples=5000, channels=1):
    return np.random.default_rng(0).uniform(-0.5, 0.5, (samples, channels))


def patched(path, size):
    """Set the size of the samples in a WAV's header, and the file's, as streams leave them."""
    content = bytearray(path.read_bytes())
    place = content.index(b"data") + 4
    content[place : place + 4] = size.to_bytes(4, "little")
    content[4:8] = min(size + 36, 0xFFFFFFFF).to_bytes(4, "little")
    path.write_bytes(content)


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
@pytest.mark.parametrize("size", [0, 0x7FFFF000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFDB])
def test_a_wav_that_was_streamed_is_read_to_the_end_of_the_file(tmp_path, size, subtype):
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(), RATE_HZ, subtype=subtype)
    whole, _ = read_wav(path)
    patched(path, size)
    before = path.read_bytes()
    found = decode(Reading("folder", tmp_path, "waveform", 5000 / RATE_HZ, {}), "a.wav")
    assert isinstance(found, Decoded), found
    np.testing.assert_array_equal(found.data, whole[0])
    assert found.notices == ("its header has no length: read to the end of the file",)
    assert path.read_bytes() == before


def test_a_streamed_recording_of_an_array_is_read_span_by_span(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(16000, 4), RATE_HZ)
    whole, _ = read_wav(path)
    patched(path, 0)
    assert header(path, 4, RATE_HZ) == (1.0, "")
    span, _ = read_span(tmp_path, "a.wav#0.250000-0.500000", 4)
    np.testing.assert_array_equal(span, whole[:, 4000:8000])


def test_a_wav_with_no_samples_and_other_chunks_behind_them_is_empty(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(0), RATE_HZ)
    path.write_bytes(path.read_bytes() + b"LIST" + (4).to_bytes(4, "little") + b"INFO")
    with pytest.raises(DataError, match="holds no samples"):
        read_wav(path)


@pytest.mark.parametrize("more", [1, 16, 1000])
def test_a_wav_whose_header_promises_more_is_refused_as_cut_short(tmp_path, more):
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(), RATE_HZ)
    patched(path, 10_000 + more)
    with pytest.raises(DataError, match="cut short"):
        read_wav(path)


@pytest.mark.parametrize("kind", ["AIFF", "RF64", "WAV"])
@pytest.mark.parametrize("missing", [1, 2, 5000])
def test_no_kind_of_file_is_taken_for_whole_when_it_was_cut(tmp_path, kind, missing):
    path = tmp_path / f"a.{kind.lower()}"
    soundfile.write(path, noise(), RATE_HZ, format=kind, subtype="PCM_16")
    assert read_wav(path)[0].shape == (1, 5000)
    path.write_bytes(path.read_bytes()[:-missing])
    with pytest.raises(DataError, match="cut short"):
        read_wav(path)
