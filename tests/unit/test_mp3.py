"""MP3 files in full: no length of theirs is believed that two decoders do not find."""

from fractions import Fraction

import av
import numpy as np
import pytest
import soundfile

from pipelines.errors import DataError
from pipelines.readers.sound import read_wav

DELAY = 1105  # samples of encoder and decoder, which only a LAME tag lets a decoder leave out


def sound(rate, seconds=1.0):
    """A quiet second and a loud one: the first frames' rate is not the rest's."""
    time_s = np.arange(round(rate * seconds)) / rate
    noise = np.random.default_rng(0).normal(size=len(time_s))
    return 0.3 * np.sin(2 * np.pi * 440 * time_s) + 0.1 * noise * (time_s > seconds / 2)


def mp3(path, samples, rate, *, xing, variable):
    """Encode by LAME. samples: (n,) or (channels, n)."""
    planes = np.atleast_2d(samples).astype(np.float32)
    layout = ["mono", "stereo"][len(planes) - 1]
    options = {"write_xing": str(int(xing)), "id3v2_version": "0"}
    with av.open(str(path), "w", format="mp3", options=options) as container:
        track = container.add_stream("libmp3lame", rate=rate, layout=layout)
        if variable:
            track.options = {"flags": "+qscale", "global_quality": "472"}
        piece = av.AudioFrame.from_ndarray(planes, format="fltp", layout=layout)
        piece.sample_rate, piece.time_base = rate, Fraction(1, rate)
        resampler = av.AudioResampler(track.format, track.layout, rate, track.frame_size)
        for part in [*resampler.resample(piece), *resampler.resample(None)]:
            container.mux(track.encode(part))
        container.mux(track.encode())
    return path


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100, 48000])
@pytest.mark.parametrize("variable", [False, True], ids=["cbr", "vbr"])
def test_a_file_without_a_frame_count_is_read_in_full(tmp_path, rate, variable):
    samples = sound(rate)
    path = mp3(tmp_path / "a.mp3", samples, rate, xing=False, variable=variable)
    with soundfile.SoundFile(path) as file:  # what these tests are for
        short = len(file.read()) < rate or file.frames != len(samples)
    assert short
    waveform, found_rate = read_wav(path)
    assert found_rate == rate and waveform.shape[1] >= rate + DELAY
    late = waveform[0, DELAY : DELAY + rate]
    assert np.corrcoef(late, samples)[0, 1] > 0.9  # all of it, where it should be


@pytest.mark.parametrize("variable", [False, True], ids=["cbr", "vbr"])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_file_with_a_frame_count_is_what_libsndfile_reads(tmp_path, variable, channels):
    samples = np.stack([sound(22050), -0.5 * sound(22050)])[:channels]
    path = mp3(tmp_path / "a.mp3", samples, 22050, xing=True, variable=variable)
    with soundfile.SoundFile(path) as file:  # soundfile.read seeks, which moves the last bits
        expected = file.read(dtype="float32", always_2d=True)
    waveform, _ = read_wav(path)
    assert waveform.shape == (channels, 22050)
    np.testing.assert_array_equal(waveform, expected.T)


def test_a_frame_count_without_the_tag_of_lame_is_read_in_full(tmp_path):
    """Then one decoder leaves out its own delay and the other does not."""
    path = mp3(tmp_path / "a.mp3", sound(44100), 44100, xing=True, variable=False)
    content = path.read_bytes()
    place = content.index(b"Lavc") if b"Lavc" in content[:600] else content.index(b"LAME")
    content = content[:place] + bytes(36) + content[place + 36 :]
    path.write_bytes(content)
    waveform, _ = read_wav(path)
    with soundfile.SoundFile(path) as file:
        expected = file.read(dtype="float32")
    np.testing.assert_array_equal(waveform[0], expected)


@pytest.mark.parametrize("xing", [False, True], ids=["no-count", "count"])
@pytest.mark.parametrize("variable", [False, True], ids=["cbr", "vbr"])
@pytest.mark.parametrize("missing", [1, 100, 3000])
def test_a_file_cut_short_is_refused_by_name(tmp_path, xing, variable, missing):
    path = mp3(tmp_path / "a.mp3", sound(44100), 44100, xing=xing, variable=variable)
    path.write_bytes(path.read_bytes()[:-missing])
    with pytest.raises(DataError, match=r"a\.mp3: cut short or damaged"):
        read_wav(path)


def test_two_files_in_one_are_refused_not_read_in_half(tmp_path):
    path = mp3(tmp_path / "a.mp3", sound(44100), 44100, xing=True, variable=False)
    path.write_bytes(2 * path.read_bytes())
    with pytest.raises(DataError, match="another"):
        read_wav(path)


def test_damage_within_is_refused_though_one_decoder_reads_past_it(tmp_path):
    path = mp3(tmp_path / "a.mp3", sound(44100), 44100, xing=False, variable=False)
    content = bytearray(path.read_bytes())
    content[3000:3400] = np.random.default_rng(1).bytes(400)
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.mp3"):
        read_wav(path)
    assert len(soundfile.read(path)[0])


@pytest.mark.parametrize("tag", ["before", "after"])
def test_tags_before_and_after_are_no_sound(tmp_path, tag):
    path = mp3(tmp_path / "a.mp3", sound(16000), 16000, xing=False, variable=True)
    plain, _ = read_wav(path)
    content = path.read_bytes()
    id3v2 = b"ID3\4\0\0\0\0\x10\0" + bytes(2048)
    path.write_bytes(id3v2 + content if tag == "before" else content + b"TAG" + bytes(125))
    np.testing.assert_array_equal(read_wav(path)[0], plain)


def test_the_longest_that_is_taken_holds_for_mp3_too(tmp_path):
    path = mp3(tmp_path / "a.mp3", sound(16000), 16000, xing=False, variable=True)
    with pytest.raises(DataError, match=r"a\.mp3: 1 s of 1 channels, at most 1 s"):
        read_wav(path, max_seconds=1)
