"""Videos: the frames asked for, the sound in full, and one line for everything that is broken."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from pipelines.errors import DataError
from pipelines.features import image, video_frames
from pipelines.readers.film_sound import read_sound
from pipelines.readers.video import choose, count_frames, read_frames

COUNT, FPS, RATE = 40, 25, 16000


def film(
    path: Path, *, codec: str, sound: str | None = None, count: int = COUNT, first: int = 0
) -> Path:
    """Write a film whose frame i has the grey level 6 (first + i), and a tone."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=FPS)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.bit_rate = 2_000_000
        track = container.add_stream(sound, rate=RATE, layout="mono") if sound else None
        for i in range(count):
            level = np.full((48, 64, 3), 6 * (first + i), np.uint8)
            level[:8, :8] += min(level[0, 0, 0] // 2, 255 - level[0, 0, 0])  # not of one colour
            frame = av.VideoFrame.from_ndarray(level, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if track is not None:
            tone = np.sin(2 * np.pi * 440 * np.arange(count * RATE // FPS) / RATE) * 0.5
            piece = av.AudioFrame.from_ndarray(
                (tone * 32767).astype(np.int16)[None], format="s16", layout="mono"
            )
            piece.sample_rate, piece.time_base = RATE, Fraction(1, RATE)
            resampler = av.AudioResampler(
                track.format, track.layout, RATE, track.frame_size or 1024
            )
            for part in [*resampler.resample(piece), *resampler.resample(None)]:
                container.mux(track.encode(part))
            container.mux(track.encode())
    return path


FILMS = {
    "flv": ("flv1", None),
    "mp4": ("mpeg4", "aac"),
    "avi": ("mpeg4", "pcm_s16le"),
    "mpg": ("mpeg1video", None),
    "mkv": ("mpeg4", "pcm_s16le"),
}


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    folder = tmp_path_factory.mktemp("films")
    return {
        kind: film(folder / f"x.{kind}", codec=codec, sound=sound)
        for kind, (codec, sound) in FILMS.items()
    }


@pytest.mark.parametrize("kind", FILMS)
def test_the_frames_are_those_of_the_index(films, kind):
    assert count_frames(films[kind]) == COUNT
    for pick, frames in (("middle", 1), ("even", 5), ("random", 3), ("random", 1)):
        chosen = choose(COUNT, pick=pick, frames=frames, pick_seed=3, name="x")
        found = read_frames(films[kind], pick=pick, frames=frames, pick_seed=3, name="x")
        assert found.shape == (frames, 48, 64, 3) and found.dtype == np.uint8
        levels = found.reshape(frames, -1).mean(1)
        assert np.abs(levels - 6 * np.array(chosen)).max() < 3, pick  # half of a frame's step


def test_the_middle_and_even_frames_are_where_they_should_be():
    assert choose(75, pick="middle", frames=1, pick_seed=0, name="") == [37]
    assert choose(75, pick="middle", frames=3, pick_seed=0, name="") == [36, 37, 38]
    assert choose(100, pick="even", frames=4, pick_seed=0, name="") == [12, 37, 62, 87]
    assert choose(1, pick="middle", frames=1, pick_seed=0, name="") == [0]
    assert choose(2, pick="even", frames=4, pick_seed=0, name="") == [0, 0, 1, 1]


def test_random_frames_are_of_the_seed_and_the_name_and_spread_over_the_film():
    def one(seed, name):
        return choose(75, pick="random", frames=1, pick_seed=seed, name=name)[0]

    assert one(0, "a") == one(0, "a")
    drawn = [one(0, f"clip{i}") for i in range(600)]
    counts = np.histogram(drawn, bins=5, range=(0, 75))[0]
    assert counts.min() > 80  # 120 expected, sd 10
    assert len({one(seed, "a") for seed in range(50)}) > 25
    several = choose(75, pick="random", frames=8, pick_seed=0, name="a")
    assert len(set(several)) == 8 and several == sorted(several)
    assert choose(2, pick="random", frames=3, pick_seed=0, name="a")[0] == 0


def test_only_the_time_asked_for_is_looked_at(films):
    assert count_frames(films["mpg"], seconds=0.4) == 10
    found = read_frames(films["mpg"], pick="even", frames=1, pick_seed=0, name="x", seconds=0.4)
    assert abs(found.mean() - 30) < 3


@pytest.mark.parametrize("kind", ["mp4", "avi", "mkv"])
def test_the_sound_is_the_tone_that_was_written(films, kind):
    waveform, rate = read_sound(films[kind])
    assert rate == RATE and waveform.shape[0] == 1 and waveform.dtype == np.float32
    assert abs(waveform.shape[1] / rate - COUNT / FPS) < 0.1  # aac pads to whole blocks
    spectrum = np.abs(np.fft.rfft(waveform[0][:RATE]))
    assert spectrum.argmax() == 440
    assert np.sqrt((waveform[0, 2000:20000] ** 2).mean()) == pytest.approx(0.5 / 2**0.5, rel=0.02)


def test_a_film_without_sound_and_a_sound_without_film_say_so(films, tmp_path):
    with pytest.raises(DataError, match=r"x\.flv: holds no sound"):
        read_sound(films["flv"])
    with av.open(str(tmp_path / "s.wav"), "w") as container:
        track = container.add_stream("pcm_s16le", rate=RATE, layout="mono")
        piece = av.AudioFrame.from_ndarray(np.zeros((1, 1600), np.int16), "s16", "mono")
        piece.sample_rate = RATE
        container.mux(track.encode(piece))
    with pytest.raises(DataError, match=r"s\.wav: holds no picture"):
        count_frames(tmp_path / "s.wav")


@pytest.mark.parametrize("kind", FILMS)
@pytest.mark.parametrize("share", [0.0, 0.001, 0.02, 0.1, 0.5, 0.9])
def test_a_truncated_film_is_one_line_or_its_first_frames(films, kind, share, tmp_path):
    content = films[kind].read_bytes()
    short = tmp_path / f"short.{kind}"
    short.write_bytes(content[: int(share * len(content))])
    try:
        found = read_frames(short, pick="even", frames=2, pick_seed=0, name="x")
    except DataError as error:
        assert str(short) in error.message and "\n" not in error.message and error.hint
    else:
        assert found.shape == (2, 48, 64, 3)


@pytest.mark.parametrize("kind", FILMS)
def test_flipped_bytes_are_one_line_or_frames(films, kind, tmp_path):
    content = films[kind].read_bytes()
    random = np.random.default_rng(0)
    for _ in range(12):
        damaged = bytearray(content)
        for place in random.integers(0, len(content), 20):
            damaged[place] ^= int(random.integers(1, 256))
        (tmp_path / f"x.{kind}").write_bytes(damaged)
        try:
            found = read_frames(
                tmp_path / f"x.{kind}", pick="middle", frames=1, pick_seed=0, name="x"
            )
            assert found.ndim == 4 and found.dtype == np.uint8
        except DataError as error:
            assert str(tmp_path) in error.message


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a film",
        b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/x.ts\n",
        b"ffconcat version 1.0\nfile '/etc/passwd'\n",
    ],
    ids=["empty", "text", "playlist", "concat"],
)
def test_what_is_no_film_is_one_line(tmp_path, content):
    path = tmp_path / "x.mp4"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"x\.mp4"):
        count_frames(path)
    with pytest.raises(DataError, match="no such file"):
        count_frames(tmp_path / "missing.mp4")


def test_the_feature_is_the_image_feature_frame_by_frame():
    random = torch.Generator().manual_seed(0)
    videos = torch.randint(0, 256, (3, 4, 3, 30, 40), generator=random, dtype=torch.uint8)
    found = video_frames.extract(videos, size=(16, 16), frames=4, channels=1)
    assert found.shape == (3, 4, 1, 16, 16)
    for step in range(4):
        alone = image.extract(videos[:, step], size=(16, 16), channels=1)
        assert torch.equal(found[:, step], alone)
    assert torch.equal(
        video_frames.extract(videos[:, :1], size=(16, 16)),
        image.extract(videos[:, 0], size=(16, 16)),
    )
