"""Decoding sound files: the numbers, and one clear line for every bad file."""

import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile

from pipelines.errors import DataError
from pipelines.readers.sound import fit_length, read_wav, to_mono
from pipelines.readers.sound_files import MAX_CHUNKS

RATE_HZ = 22050


def noise(samples: int, channels: int = 1, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return generator.uniform(-1, 1, (samples, channels)).astype(np.float32)


def written(path: Path, samples: np.ndarray, subtype: str = "PCM_16", rate: int = RATE_HZ) -> Path:
    soundfile.write(path, samples, rate, subtype=subtype)
    return path


def with_bytes(path: Path, offset: int, replacement: bytes) -> Path:
    content = bytearray(path.read_bytes())
    content[offset : offset + len(replacement)] = replacement
    path.write_bytes(content)
    return path


def test_16_bit_stereo_is_what_the_standard_library_reads(tmp_path: Path) -> None:
    path = written(tmp_path / "a.wav", noise(5000, channels=2), rate=44100)
    with wave.open(str(path)) as file:
        levels = np.frombuffer(file.readframes(5000), dtype="<i2").reshape(-1, 2)
    waveform, rate_hz = read_wav(path)
    assert rate_hz == 44100
    assert waveform.dtype == np.float32
    assert waveform.flags.c_contiguous
    np.testing.assert_array_equal(waveform, levels.T / np.float32(32768))


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "MS_ADPCM"])
def test_other_subtypes_are_what_libsndfile_scales_them_to(tmp_path: Path, subtype: str) -> None:
    path = written(tmp_path / "a.wav", 0.9 * noise(4096), subtype)
    expected, _ = soundfile.read(path, dtype="float32", always_2d=True)
    np.testing.assert_array_equal(read_wav(path)[0], expected.T)


def test_16_bit_full_scale_is_one(tmp_path: Path) -> None:
    path = written(tmp_path / "a.wav", np.array([-32768, 0, 16384, 32767], dtype=np.int16))
    assert read_wav(path)[0].tolist() == [[-1.0, 0.0, 0.5, 32767 / 32768]]


def test_a_missing_file_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.wav: no such file"):
        read_wav(tmp_path / "gone.wav")


@pytest.mark.parametrize("name", ["a.wav", "a.raw", "a.flac"])
@pytest.mark.parametrize("content", [b"", b"RIFF", b"this is not sound" * 100])
def test_what_is_not_sound_is_a_data_error(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"{name}: not a readable sound file"):
        read_wav(path)


def test_a_file_without_samples_is_a_data_error(tmp_path: Path) -> None:
    path = written(tmp_path / "a.wav", noise(0))
    with pytest.raises(DataError, match=r"a\.wav: holds no samples"):
        read_wav(path)


@pytest.mark.parametrize("missing", [2, 1000, 9999])
def test_a_wav_cut_short_by_any_sample_is_a_data_error(tmp_path: Path, missing: int) -> None:
    path = written(tmp_path / "a.wav", noise(5000))
    path.write_bytes(path.read_bytes()[:-missing])
    with pytest.raises(DataError, match=r"a\.wav: cut short"):
        read_wav(path)


def test_a_flac_cut_short_is_a_data_error(tmp_path: Path) -> None:
    path = written(tmp_path / "a.flac", noise(50_000))
    path.write_bytes(path.read_bytes()[:50_000])
    with pytest.raises(DataError, match=r"a\.flac"):
        read_wav(path)


def test_a_streamed_wav_with_unknown_length_is_read_to_its_end(tmp_path: Path) -> None:
    path = written(tmp_path / "a.wav", noise(5000))
    before, _ = read_wav(path)
    offset = path.read_bytes().index(b"data") + 4
    with_bytes(path, offset, b"\xff" * 4)
    with_bytes(path, 4, b"\xff" * 4)
    np.testing.assert_array_equal(read_wav(path)[0], before)


def test_chunks_before_the_samples_are_skipped(tmp_path: Path) -> None:
    path = written(tmp_path / "a.wav", noise(5000))
    before, _ = read_wav(path)
    content = path.read_bytes()
    extra = b"note" + (3).to_bytes(4, "little") + b"abc\0"
    content = content[:12] + extra + content[12:]
    path.write_bytes(content[:4] + (len(content) - 8).to_bytes(4, "little") + content[8:])
    np.testing.assert_array_equal(read_wav(path)[0], before)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(DataError, match="cut short"):
        read_wav(path)


def test_a_file_of_endless_chunks_is_given_up_quickly(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(b"RIFF\xff\xff\xff\x7fWAVE" + b"junk\0\0\0\0" * (MAX_CHUNKS + 100))
    with pytest.raises(DataError, match=r"a\.wav"):
        read_wav(path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_a_data_error(tmp_path: Path, value: float) -> None:
    samples = noise(1000)
    samples[123] = value
    path = written(tmp_path / "a.wav", samples, "FLOAT")
    with pytest.raises(DataError, match=r"a\.wav: holds values that are not finite"):
        read_wav(path)


def test_a_clip_longer_than_allowed_is_a_data_error(tmp_path: Path) -> None:
    path = written(tmp_path / "a.wav", noise(8001), rate=8000)
    with pytest.raises(DataError, match=r"a\.wav: 1 s of 1 channels, at most 1 s"):
        read_wav(path, max_seconds=1)
    assert read_wav(path, max_seconds=1.001)[0].shape == (1, 8001)


def test_a_header_with_an_absurd_rate_is_a_data_error(tmp_path: Path) -> None:
    path = written(tmp_path / "a.wav", noise(100))
    offset = path.read_bytes().index(b"fmt ") + 12
    with_bytes(path, offset, (2_000_000_000).to_bytes(4, "little"))
    with pytest.raises(DataError, match=r"a\.wav"):
        read_wav(path)


def test_a_header_with_many_channels_is_a_data_error(tmp_path: Path) -> None:
    path = written(tmp_path / "a.wav", noise(10, channels=100))
    with pytest.raises(DataError, match=r"a\.wav: 100 channels"):
        read_wav(path)


def test_mono_is_the_mean_of_the_channels() -> None:
    stereo = np.array([[1.0, 0.5, -1.0], [0.0, 0.5, -0.5]], dtype=np.float32)
    assert to_mono(stereo).tolist() == [0.5, 0.5, -0.75]
    assert to_mono(stereo[:1]).tolist() == [1.0, 0.5, -1.0]
    assert to_mono(stereo).dtype == np.float32


def test_a_short_clip_is_padded_with_zeros_and_a_long_one_cut_at_the_end() -> None:
    clip = np.arange(1, 5, dtype=np.float32)
    assert fit_length(clip, 6).tolist() == [1, 2, 3, 4, 0, 0]
    assert fit_length(clip, 4).tolist() == [1, 2, 3, 4]
    assert fit_length(clip, 2).tolist() == [1, 2]
    assert fit_length(clip[None], 5).tolist() == [[1, 2, 3, 4, 0]]
    assert fit_length(clip, 6).dtype == np.float32
