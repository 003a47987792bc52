"""A film is read as a player shows it: upright, by time, the default track, sound in its place."""

from fractions import Fraction

import av
import numpy as np
import pytest

from pipelines.errors import DataError
from pipelines.readers.film_sound import read_sound
from pipelines.readers.video import count_frames, frame_times, on_screen, read_frames
from tests.unit.test_video import COUNT, RATE, film


def picture(level):
    return np.full((48, 64, 3), level, np.uint8)


def encode(container, stream, image, pts):
    frame = av.VideoFrame.from_ndarray(image, format="rgb24")
    frame.pts, frame.time_base = pts, Fraction(1, 1000)
    container.mux(stream.encode(frame))


def video_track(container, codec="mpeg4"):
    stream = container.add_stream(codec, rate=25)
    stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
    stream.bit_rate = 2_000_000
    stream.codec_context.time_base = Fraction(1, 1000)
    return stream


def encode_tone(container, track, start_s, seconds, hz):
    time_s = np.arange(round(seconds * RATE)) / RATE
    tone = (0.5 * 32767 * np.sin(2 * np.pi * hz * time_s)).astype(np.int16)
    piece = av.AudioFrame.from_ndarray(tone[None], format="s16", layout="mono")
    piece.sample_rate, piece.time_base, piece.pts = RATE, Fraction(1, RATE), round(start_s * RATE)
    container.mux(track.encode(piece))


def corners(image):
    """Return the mean levels of the four quarters, clockwise from the upper left."""
    h, w = image.shape[0] // 2, image.shape[1] // 2
    parts = (image[:h, :w], image[:h, w:], image[h:, w:], image[h:, :w])
    return [round(float(part.mean()), -1) for part in parts]


# (a, b, c, d) of the display matrix, and the corners that are shown, clockwise from the upper
# left, of a film whose own are 0, 1, 2, 3: ISO/IEC 14496-12, 6.2.2
SHOWN = {
    "as-is": ((1, 0, 0, 1), [0, 1, 2, 3]),
    "clockwise": ((0, 1, -1, 0), [3, 0, 1, 2]),
    "half-turn": ((-1, 0, 0, -1), [2, 3, 0, 1]),
    "anticlockwise": ((0, -1, 1, 0), [1, 2, 3, 0]),
    "mirrored": ((-1, 0, 0, 1), [1, 0, 3, 2]),
}


@pytest.mark.parametrize("turn", SHOWN)
def test_a_film_is_turned_as_its_container_says(tmp_path, turn):
    path = tmp_path / "a.mp4"
    image = np.zeros((48, 64, 3), np.uint8)
    image[:24, :32], image[:24, 32:], image[24:, 32:], image[24:, :32] = 20, 80, 140, 200
    with av.open(str(path), "w") as container:
        stream = video_track(container)
        for i in range(10):
            encode(container, stream, image, 40 * i)
        container.mux(stream.encode())
    matrix, order = SHOWN[turn]
    content = bytearray(path.read_bytes())
    place = content.index(b"tkhd") + 44  # version and flags, times, id, duration, layer, volume
    for offset, value in zip((0, 4, 12, 16), matrix, strict=True):
        content[place + offset : place + offset + 4] = (value << 16).to_bytes(4, "big", signed=True)
    path.write_bytes(content)
    found = read_frames(path, pick="middle", frames=1, pick_seed=0, name="x")[0]
    assert found.shape == ((64, 48, 3) if matrix[1] else (48, 64, 3))
    assert corners(found) == [[20, 80, 140, 200][i] for i in order]


@pytest.mark.parametrize("kind", ["mp4", "mkv"])
def test_frames_are_picked_by_time_not_number(tmp_path, kind):
    """A slide show: 30 frames in the first second and one that stands for three."""
    path = tmp_path / f"a.{kind}"
    with av.open(str(path), "w") as container:
        stream = video_track(container)
        for i in range(30):
            encode(container, stream, picture(20), 1000 * i // 30)
        encode(container, stream, picture(120), 1000)
        encode(container, stream, picture(220), 4000)
        container.mux(stream.encode())
    middle = read_frames(path, pick="middle", frames=1, pick_seed=0, name="x")
    assert abs(middle.mean() - 120) < 6
    even = read_frames(path, pick="even", frames=4, pick_seed=0, name="x").mean((1, 2, 3))
    assert np.abs(even - [20, 120, 120, 120]).max() < 6
    drawn = [
        read_frames(path, pick="random", frames=1, pick_seed=seed, name="x").mean()
        for seed in range(20)
    ]
    assert sum(abs(level - 120) < 6 for level in drawn) >= 9  # 15 expected, sd 2


def test_evenly_spaced_frames_are_each_shown_at_one_moment_however_times_are_rounded():
    for rate in (23.976, 25, 29.97, 30, 59.94):
        exact = np.arange(500) / rate + 0.4
        times = np.append(np.round(exact[:-1], 3), exact[-1])
        assert on_screen(times) == list(range(499))


def test_where_the_last_frame_ends_is_known_even_from_a_header_that_gives_it_no_time(tmp_path):
    times = frame_times(film(tmp_path / "a.mkv", codec="mpeg4"))
    assert len(times) == COUNT + 1
    np.testing.assert_allclose(np.diff(times), 0.04, atol=1e-3)


@pytest.mark.parametrize("kind", ["mkv", "mp4", "mov"])
def test_late_sound_keeps_its_place_and_a_pause_its_length(tmp_path, kind):
    path = tmp_path / f"a.{kind}"
    codec = "aac" if kind == "mp4" else "pcm_s16le"
    with av.open(str(path), "w") as container:
        stream = video_track(container)
        track = container.add_stream(codec, rate=RATE, layout="mono")
        for i in range(50):
            encode(container, stream, picture(100 + i), 40 * i)
        container.mux(stream.encode())
        if codec == "aac":
            for start in np.arange(1024 * 8, 1024 * 24, 1024):
                encode_tone(container, track, start / RATE, 1024 / RATE, 500)
        else:
            encode_tone(container, track, 0.5, 0.25, 500)
            encode_tone(container, track, 1.0, 0.5, 500)
        container.mux(track.encode())
    waveform, rate = read_sound(path)
    loud = np.abs(waveform[0]) > 0.05
    if codec == "aac":
        assert abs(loud.argmax() / rate - 0.512) < 0.07
    else:
        assert (
            not loud[: int(0.49 * rate)].any() and loud[int(0.49 * rate) : int(0.52 * rate)].any()
        )
        if kind == "mkv":
            assert not loud[int(0.76 * rate) : int(0.99 * rate)].any()
            assert waveform.shape[1] == pytest.approx(1.5 * rate, abs=20)


def test_the_default_tracks_are_taken_not_the_first(tmp_path):
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        films = [video_track(container), video_track(container)]
        tracks = [container.add_stream("pcm_s16le", rate=RATE, layout="mono") for _ in range(2)]
        for first, second in (films, tracks):
            first.disposition = av.stream.Disposition(0)
            second.disposition = av.stream.Disposition.default
        for stream, level in zip(films, (40, 200), strict=True):
            for i in range(10):
                encode(container, stream, picture(level), 40 * i)
            container.mux(stream.encode())
        for track, hz in zip(tracks, (400, 900), strict=True):
            encode_tone(container, track, 0, 0.4, hz)
            container.mux(track.encode())
    found = read_frames(path, pick="middle", frames=1, pick_seed=0, name="x")
    assert abs(found.mean() - 200) < 6
    waveform, rate = read_sound(path)
    peak = np.abs(np.fft.rfft(waveform[0])).argmax() * rate / waveform.shape[1]
    assert peak == pytest.approx(900, abs=10)


CUT = {
    "flv": ("flv1", None),
    "mpg": ("mpeg1video", "mp2"),
    "webm": ("libvpx", "libopus"),
    "mkv": ("mpeg4", "pcm_s16le"),
    "avi": ("mpeg4", "pcm_s16le"),
    "mp4": ("mpeg4", "aac"),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return {
        k: film(folder / f"a.{k}", codec=codec, sound=sound) for k, (codec, sound) in CUT.items()
    }


@pytest.mark.parametrize("kind", CUT)
def test_a_whole_film_does_not_end_early(whole, kind):
    assert count_frames(whole[kind]) == COUNT


@pytest.mark.parametrize("kind", CUT)
@pytest.mark.parametrize("share", [0.3, 0.5, 0.75, 0.9, 0.97])
def test_a_film_that_ends_early_is_refused_for_its_picture_and_its_sound(
    whole, kind, share, tmp_path
):
    content = whole[kind].read_bytes()
    path = tmp_path / f"short.{kind}"
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(DataError, match=rf"short\.{kind}: (ends early|not a readable video)"):
        read_frames(path, pick="middle", frames=1, pick_seed=0, name="x")
    if CUT[kind][1]:
        with pytest.raises(DataError, match=rf"short\.{kind}: (ends early|not a readable video)"):
            read_sound(path)


def test_of_a_film_that_ends_early_the_time_that_is_there_may_be_asked_for(whole, tmp_path):
    path = tmp_path / "short.mkv"
    path.write_bytes(whole["mkv"].read_bytes()[: whole["mkv"].stat().st_size // 2])
    assert count_frames(path, seconds=0.4) == 10
    with pytest.raises(DataError, match="ends early"):
        count_frames(path, seconds=1.5)
