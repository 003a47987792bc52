"""Damaged inputs, kind by kind: a named refusal or a sound sample, never anything else.

Whatever is wrong with a file, decoding it ends in a refusal that names it, or, where a flipped bit
in samples or pixels cannot be noticed without a checksum, in a finite sample of the right form.
Of a folder with such a file everything else is prepared, and its own clip is counted and named.
"""

import gzip
import itertools
import json
import os
import shutil
import sys
from pathlib import Path

import av
import h5py
import numpy as np
import pytest
import soundfile
from PIL import Image

from pipelines.cache.source_reader import Decoded, Reading, Refused, decode
from pipelines.datasets import cifar10_sounds, folder, spoken_digits_av
from pipelines.readers.events import Events
from tests import published
from tests.cli.conftest import in_process
from tests.unit.test_video import film
from tests.unprivileged import unprivileged

# kind: data set, what is read, the source, settings of the reader
KINDS = {
    "wav": ("folder", "waveform", "dog/a.wav", {}),
    "float": ("folder", "waveform", "dog/float.wav", {}),
    "flac": ("folder", "waveform", "dog/a.flac", {}),
    "four": ("sloclas", "microphones", "sloclas/a.wav", {}),
    "event": ("tau-sse-2019", "microphones", "mic_dev/a.wav#0.020000-0.080000", {}),
    "jpg": ("folder", "image", "dog/a.jpg", {}),
    "png": ("folder", "image", "dog/a.png", {}),
    "avi": ("folder", "video", "dog/a.avi", {"pick": "even", "frames": 3, "pick_seed": 0}),
    "avi-sound": ("folder", "waveform", "dog/a.avi", {}),
    "flv": ("folder", "image", "dog/a.flv", {}),
    "bin": ("n-mnist-spoken", "events", "n-mnist/Train/0/1.bin", {}),
    "aedat": ("mnistdvs-ntidigits", "events", "raw/grabbed_data0/scale4/a.aedat", {}),
    "hdf5": ("mnistdvs-ntidigits", "spikes", "train/man-a1-a-3", {}),
    "cifar": ("urbansound8k-av", "image", "urbansound8k-av/a.png", {}),
    "idx": ("spoken-digits-av", "image", "train-7", {}),
    "batch": ("cifar10-sounds", "image", "cifar-10-batches-bin/test_batch.bin#0003", {}),
    "crema": (
        "crema-d",
        "video",
        "VideoFlash/a.flv",
        {"pick": "middle", "frames": 1, "pick_seed": 0},
    ),
}
FILES = {
    "event": "mic_dev/a.wav",
    "aedat": "grabbed_data0/scale4/a.aedat",
    "hdf5": "n-tidigits.hdf5",
    "idx": spoken_digits_av.IMAGES["train"],
    "batch": "cifar-10-batches-bin/test_batch.bin",
}
ROWS = 10  # of a batch of CIFAR-10, in place of 10,000


def place(kind: str) -> str:
    """Return the file that a kind reads."""
    return FILES.get(kind, KINDS[kind][2])


@pytest.fixture(scope="module", autouse=True)
def small_batches():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cifar10_sounds, "BATCH_ROWS", ROWS)
        yield


def idx(path: Path, shape: tuple[int, ...], pixels: int) -> None:
    """Write a gzipped IDX file whose header says one thing, and which holds so many bytes."""
    random = np.random.default_rng(2)
    content = bytes([0, 0, 8, len(shape)]) + np.array(shape, ">u4").tobytes()
    path.write_bytes(gzip.compress(content + random.bytes(pixels), mtime=0))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A folder with a good file of each kind."""
    raw = tmp_path_factory.mktemp("whole")
    for kind in KINDS:
        (raw / place(kind)).parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 4000)
    soundfile.write(raw / place("wav"), noise, 8000, subtype="PCM_16")
    soundfile.write(raw / place("float"), noise, 8000, subtype="FLOAT")
    soundfile.write(raw / place("flac"), noise, 8000)
    published.four_channels(raw / place("four"), 0.1)
    published.four_channels(raw / place("event"), 0.1)
    for kind in ("jpg", "png", "cifar"):
        pixels = np.random.default_rng(1).integers(0, 256, (40, 30, 3), np.uint8)
        Image.fromarray(pixels).save(raw / place(kind))
    film(raw / place("avi"), codec="mpeg4", sound="pcm_s16le", count=12)
    film(raw / place("flv"), codec="flv1", count=12)
    published.nmnist(raw / place("bin"), *published.random_events(0, 34))
    published.aedat2(raw / place("aedat"), *published.random_events(0, 128))
    published.ntidigits(raw / place("hdf5"))
    idx(raw / place("idx"), (12, 28, 28), 12 * 784)
    (raw / "cifar-10-batches-bin").rmdir()
    published.cifar10_binary(raw / "cifar-10-batches-bin", ROWS)
    film(raw / place("crema"), codec="flv1", count=6, first=9)
    (raw / "AudioWAV").mkdir()
    published.wav(raw / "AudioWAV" / "a.wav", 0.2, 16000)
    for path in raw.rglob("*.*"):
        if path.is_file():
            path.chmod(0o644)  # libsndfile leaves others out
    return raw


def copied(whole: Path, tmp_path: Path, *kinds: str) -> Path:
    """Copy what some kinds read to a folder that may be spoilt."""
    raw = tmp_path / "raw"
    sounds = ["AudioWAV/a.wav"] if "crema" in kinds else []
    for name in [*map(place, kinds), *sounds]:
        (raw / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(whole / name, raw / name)
    return raw


def decoded(raw: Path, kind: str) -> Decoded | Refused:
    dataset, reads, source, settings = KINDS[kind]
    return decode(Reading(dataset, raw, reads, 0.5, settings), source)


@pytest.mark.parametrize("kind", KINDS)
def test_the_good_file_is_a_sample(whole, kind):
    found = decoded(whole, kind)
    assert isinstance(found, Decoded), found
    check_form(found, kind, decoded(whole, kind))


def check_form(found: Decoded, kind: str, good: Decoded | Refused) -> None:
    """A sample has the form that the good file's has, and values that can be.

    A float file may go beyond full scale for moments.
    """
    assert isinstance(good, Decoded)
    if isinstance(found.data, Events):
        events = found.data
        assert found.kind == good.kind
        assert len({len(column) for column in events[:4]}) == 1 and len(events.t_us)
        assert (np.diff(events.t_us) >= 0).all() and events.t_us[0] >= 0
        assert events.x.min() >= 0 and events.x.max() < events.width
        assert events.y.min() >= 0 and events.y.max() < events.height
        assert events.p.min() >= 0 and events.p.max() <= 1
    elif found.data.dtype == np.uint8:
        assert found.data.ndim == good.data.ndim
        assert found.data.shape[-1] == good.data.shape[-1]
        assert 0 not in found.data.shape and found.kind == found.data.shape
        if found.data.ndim == 4:
            assert len(found.data) == KINDS[kind][3]["frames"]
    else:
        assert found.data.dtype == np.float32 and np.isfinite(found.data).all()
        assert found.data.ndim == good.data.ndim
        if kind in ("four", "event"):
            assert len(found.data) == 4
        rate_hz = found.kind[0]
        assert 1000 <= rate_hz <= 384_000 and found.data.shape[-1] == round(0.5 * rate_hz)
        assert np.abs(found.data).max() <= (64 if kind == "float" else 1)


def flipped(number: int):
    """Flip a bit in each of three places, by seed; the first one early, where headers are."""

    def damage(content: bytes) -> bytes:
        random = np.random.default_rng(number)
        found = bytearray(content)
        for end in (64, len(found), len(found)):
            found[random.integers(0, min(end, len(found)))] ^= 1 << random.integers(0, 8)
        return bytes(found)

    return damage


def one_bit(number: int, end: int | None):
    """Flip one bit, by seed: of the first `end` bytes, or of the rest."""

    def damage(content: bytes) -> bytes:
        random = np.random.default_rng([number, 7])
        found = bytearray(content)
        found[random.integers(0, end) if end else random.integers(64, len(found))] ^= (
            1 << random.integers(0, 8)
        )
        return bytes(found)

    return damage


DAMAGES = {
    "empty": lambda _: b"",
    "one-byte": lambda c: c[:1],
    "header": lambda c: c[:40],
    "half": lambda c: c[: len(c) // 2 + 1],
    "last-byte": lambda c: c[:-1],
    "zeros": lambda c: bytes(len(c)),
    "text": lambda _: b"this is not what you think\n" * 40,
    "html": lambda _: b"<!DOCTYPE html><html><body>404</body></html>",
    "shifted": lambda c: b"\0" + c,
    "noise": lambda c: np.random.default_rng(5).bytes(len(c)),
    **{f"flip{i}": flipped(i) for i in range(4)},
    "11-bytes": lambda c: c[:11],
    "44-bytes": lambda c: c[:44],
    "last-two": lambda c: c[:-2],
    **{f"flip-head{i}": one_bit(i, 64) for i in range(3)},
    **{f"flip-body{i}": one_bit(i, None) for i in range(3)},
}
# cut between two events, or after the last pixel: what is left is whole by all that can be told
SILENT = {
    ("aedat", "half"),
    ("bin", "header"),
    ("png", "last-byte"),
    ("cifar", "last-byte"),
    ("png", "last-two"),
    ("cifar", "last-two"),
    ("batch", "zeros"),
}  # pixels and nothing else; the download's checksum tells


@pytest.mark.parametrize(("kind", "damage"), list(itertools.product(KINDS, DAMAGES)))
def test_a_damaged_file_is_refused_by_name_or_gives_a_sound_sample(whole, tmp_path, kind, damage):
    raw = copied(whole, tmp_path, kind)
    path = raw / place(kind)
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    found = decoded(raw, kind)
    if isinstance(found, Refused):
        assert path.name in found.reason and "\n" not in found.reason
        assert "Traceback" not in found.reason
    else:
        check_form(found, kind, decoded(whole, kind))
        tolerant = damage.startswith("flip") or kind in ("avi", "avi-sound", "flv", "crema")
        # FFmpeg reads past a stray byte and shows what is there of a film that was cut
        assert tolerant or (kind, damage) in SILENT, "taken for whole"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("instead", ["nothing", "folder", "link", "loop", "device", "pipe"])
def test_what_is_no_file_is_refused_by_name(whole, tmp_path, kind, instead):
    raw = copied(whole, tmp_path, kind)
    path = raw / place(kind)
    path.unlink()
    if instead == "folder":
        path.mkdir()
    elif instead == "link":
        path.symlink_to(tmp_path / "nowhere")
    elif instead == "loop":
        path.symlink_to(path)
    elif instead == "device":
        path.symlink_to("/dev/zero")  # it would be read for ever
    elif instead == "pipe":
        os.mkfifo(path)  # opening it would wait for ever
    found = decoded(raw, kind)
    assert isinstance(found, Refused) and path.name in found.reason


@pytest.mark.skipif(sys.platform != "linux", reason="effective users are Linux's")
@pytest.mark.parametrize("what", ["file", "folder"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_may_not_be_read_is_refused_by_name(whole, tmp_path, kind, what):
    """Of a file that this user may not open, or whose folder he may not enter."""
    other = "png" if kind == "idx" else "idx"
    raw = copied(whole, tmp_path, kind, other)
    path = raw / place(kind)
    decoded(whole, kind)  # imports what it needs while everything may be read
    with unprivileged(raw):
        assert isinstance(decoded(raw, other), Decoded), "not for want of other rights"
    closed = path if what == "file" else path.parent
    closed.chmod(0)
    try:
        with unprivileged(raw.parent):  # opens the way there, not what was closed
            found = decoded(raw, kind)
    finally:
        closed.chmod(0o755)
    assert isinstance(found, Refused) and path.name in found.reason


# ---- what a well-formed file may hold ----


def written(path: Path, samples: np.ndarray, rate: int = 8000, subtype: str = "FLOAT") -> None:
    soundfile.write(path, samples, rate, subtype=subtype)


@pytest.mark.parametrize(
    ("kind", "make", "reason"),
    [
        ("wav", lambda p: written(p, np.full(800, np.nan)), "not finite"),
        ("wav", lambda p: written(p, np.r_[np.ones(799), np.inf]), "not finite"),
        ("wav", lambda p: written(p, np.zeros(0), subtype="PCM_16"), "no samples"),
        ("wav", lambda p: written(p, np.zeros(800)), "silent"),
        ("four", lambda p: written(p, np.ones(800) / 2, 48000), "1 channels, not 4"),
        ("four", lambda p: written(p, np.ones((800, 6)) / 2, 48000), "6 channels, not 4"),
        ("event", lambda p: written(p, np.ones((8000, 4)) / 2, 44100), "44100 Hz"),
        ("event", lambda p: written(p, np.ones((800, 4)) / 2, 48000), "no such span"),
        ("event", lambda p: written(p, np.full((4800, 4), np.nan), 48000), "not finite"),
        ("jpg", lambda p: Image.new("1", (9000, 9000)).save(p, "PNG"), "pixels"),
        ("avi-sound", lambda p: film(p, codec="mpeg4", count=5), "no sound"),
        ("avi", lambda p: tone_only(p), "no picture"),
        ("avi", lambda p: film(p, codec="mpeg4", count=0), ""),
        ("bin", lambda p: p.write_bytes(bytes([40, 3, 0, 0, 1])), "x from"),
        ("bin", lambda p: p.write_bytes(bytes([4, 3, 0, 0, 9, 4, 3, 0, 0, 1])), "backwards"),
        ("aedat", lambda p: published.aedat2(p, *([[1, 2], [3, 4], [0, 1], [9, 5]])), "backwards"),
        ("hdf5", lambda p: unsorted(p), "backwards"),
        ("hdf5", lambda p: p.write_bytes(Path(h5py.__file__).read_bytes()), "HDF5"),
        # half a second of a sound at 1 Hz would be no sample at all
        ("wav", lambda p: written(p, np.ones(400) / 2, 1), "rate of 1 Hz"),
        ("wav", lambda p: written(p, np.ones(400) / 2, 999), "rate of 999 Hz"),
        ("event", lambda p: written(p, np.ones((4800, 4)) / 2, 100), "100 Hz"),
        # the mean of two channels of it is infinite, and all of it is clipped to noise
        ("wav", lambda p: written(p, np.full((800, 2), 3e38)), "full scale"),
        ("wav", lambda p: written(p, np.r_[np.ones(799), -3e38]), "full scale"),
        ("four", lambda p: written(p, np.full((800, 4), 3e38), 48000), "full scale"),
        ("event", lambda p: written(p, np.full((4800, 4), 3e38), 48000), "full scale"),
        ("wav", lambda p: written(p, np.full(800, 1e300), subtype="DOUBLE"), "not finite"),
        ("jpg", lambda p: Image.new("F", (9, 9)).save(p, "TIFF"), "no known range"),
        ("avi", lambda p: p.write_text("ffconcat version 1.0\nfile a.flv\n"), "not a readable"),
        ("flv", lambda p: p.write_text("ffconcat version 1.0\nfile a.flv\n"), "not a readable"),
        ("avi-sound", lambda p: p.write_text("ffconcat version 1.0\nfile a.wav\n"), "readable"),
        ("avi", lambda p: p.write_text("#EXTM3U\n#EXTINF:1,\na.flv\n"), "not a readable"),
        ("aedat", lambda p: published.aedat2(p, [1], [128], [0], [9]), "beyond"),
        ("aedat", lambda p: published.aedat2(p, [], [], [], []), "no events"),
        ("bin", lambda p: p.write_bytes(bytes([1, 240, 0, 0, 1]) * 9), "no events"),
        ("hdf5", lambda p: spikes(p, [64], [0.1]), "channels from 64"),
        ("hdf5", lambda p: spikes(p, [-1, 3], [0.1, 0.2]), "channels from -1"),
        ("hdf5", lambda p: spikes(p, [1, 3], [0.1, np.nan]), "times beyond"),
        ("hdf5", lambda p: spikes(p, [1, 3], [0.1, np.inf]), "times beyond"),
        ("hdf5", lambda p: spikes(p, [1, 3], [-0.1, 0.2]), "backwards"),
        ("hdf5", lambda p: spikes(p, [1, 3], [0.2]), "2 channels, 1 times"),
        ("hdf5", lambda p: spikes(p, [], []), "not channels"),
        ("idx", lambda p: idx(p, (7, 28, 28), 7 * 784), "no image 7"),
        ("idx", lambda p: idx(p, (12, 14, 28), 12 * 392), "28 x 28"),
        ("idx", lambda p: idx(p, (12, 28, 28), 12 * 784 - 1), "that its header gives"),
        ("idx", lambda p: idx(p, (1 << 31, 1 << 31, 4), 0), "has a header for"),
        ("idx", lambda p: p.write_bytes(gzip.compress(b"\0\0\x08\3\0\0")), "not an IDX"),
        ("batch", lambda p: p.write_bytes(bytes([10]) * 3073 * ROWS), "a label of 10"),
        ("crema", lambda p: film(p, codec="flv1", count=2, first=0), "black"),
    ],
    ids=[
        "nan",
        "inf",
        "no-samples",
        "silent",
        "mono",
        "six",
        "rate",
        "short",
        "nan-event",
        "bomb",
        "no-sound",
        "no-picture",
        "no-frame",
        "beyond",
        "n-mnist-backwards",
        "aedat-backwards",
        "spikes-backwards",
        "no-hdf5",
        "1-hz",
        "999-hz",
        "100-hz-event",
        "huge-stereo",
        "huge",
        "huge-four",
        "huge-event",
        "beyond-float32",
        "float-image",
        "script",
        "script-of-itself",
        "script-of-sounds",
        "playlist",
        "aedat-beyond",
        "aedat-none",
        "n-mnist-none",
        "channel-64",
        "channel--1",
        "time-nan",
        "time-inf",
        "time-negative",
        "times-lack",
        "spikes-none",
        "idx-few",
        "idx-half",
        "idx-cut",
        "idx-huge",
        "idx-header",
        "batch-label",
        "black",
    ],
)
def test_a_file_that_holds_the_wrong_thing_is_refused_in_words(whole, tmp_path, kind, make, reason):
    raw = copied(whole, tmp_path, kind)
    (raw / place(kind)).unlink()
    make(raw / place(kind))
    found = decoded(raw, kind)
    assert isinstance(found, Refused), found
    assert reason in found.reason and (raw / place(kind)).name in found.reason


def tone_only(path: Path) -> None:
    with av.open(str(path), "w") as container:
        track = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        samples = np.random.default_rng(0).integers(-99, 99, (1, 4000)).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux([*track.encode(frame), *track.encode()])


def spikes(path: Path, channels: list[int], times_s: list[float]) -> None:
    published.ntidigits(path)
    with h5py.File(path, "a") as file:
        for table, values in (("addresses", channels), ("timestamps", times_s)):
            del file[f"train_{table}/man-a1-a-3"]
            file[f"train_{table}/man-a1-a-3"] = np.array(values)


def unsorted(path: Path) -> None:
    published.ntidigits(path)
    with h5py.File(path, "a") as file:
        times = file["train_timestamps/man-a1-a-3"]
        times[...] = times[()][::-1]


@pytest.mark.parametrize(
    ("kind", "other"),
    [
        ("wav", "png"),
        ("wav", "jpg"),
        ("wav", "avi"),
        ("wav", "hdf5"),
        ("float", "bin"),
        ("flac", "flv"),
        ("four", "png"),
        ("four", "wav"),
        ("event", "avi"),
        ("event", "flac"),
        ("jpg", "wav"),
        ("jpg", "avi"),
        ("png", "hdf5"),
        ("png", "idx"),
        ("cifar", "flac"),
        ("avi", "wav"),
        ("avi", "png"),
        ("avi", "hdf5"),
        ("avi-sound", "jpg"),
        ("flv", "jpg"),
        ("flv", "flac"),
        ("bin", "jpg"),
        ("aedat", "bin"),
        ("hdf5", "wav"),
        ("idx", "png"),
        ("batch", "png"),
        ("crema", "wav"),
    ],
    ids="-as-".join,
)
def test_a_file_of_another_type_is_refused_by_name(whole, tmp_path, kind, other):
    """The id says what is due and what is there: wav-as-png is a picture called a.wav."""
    raw = copied(whole, tmp_path, kind)
    shutil.copyfile(whole / place(other), raw / place(kind))
    found = decoded(raw, kind)
    assert isinstance(found, Refused), "taken for what it is not"
    assert Path(place(kind)).name in found.reason


@pytest.mark.parametrize("damage", ["missing", "cut", "silent-header", "folder"])
def test_a_film_without_its_sound_file_is_refused_naming_that_file(whole, tmp_path, damage):
    """CREMA-D's films are looked at for as long as there is sound."""
    raw = copied(whole, tmp_path, "crema")
    path = raw / "AudioWAV" / "a.wav"
    content = path.read_bytes()
    path.unlink()
    if damage == "folder":
        path.mkdir()
    elif damage != "missing":
        path.write_bytes(content[:-2] if damage == "cut" else content[:44])
    found = decoded(raw, "crema")
    assert isinstance(found, Refused) and "a.wav" in found.reason


@pytest.mark.parametrize("mode", ["PNG", "TIFF"])
def test_grey_of_16_bits_keeps_its_upper_8(tmp_path, mode):
    """Not white wherever the level is above 255."""
    levels = np.random.default_rng(3).integers(0, 1 << 16, (20, 30), np.uint16)
    (tmp_path / "dog").mkdir()
    Image.fromarray(levels).save(tmp_path / "dog" / "a.png", mode)
    found = decode(Reading("folder", tmp_path, "image", 0.5, {}), "dog/a.png")
    assert isinstance(found, Decoded)
    np.testing.assert_array_equal(found.data, np.repeat(levels[..., None] // 256, 3, 2))


@pytest.mark.parametrize("scale", [32768.0, 2.0**31])
@pytest.mark.parametrize("loud", [1.0, 0.2], ids=["loud", "mostly-zero"])
def test_whole_numbers_stored_as_floats_are_refused_and_said(tmp_path, scale, loud):
    """A feature that cuts at full scale would see a square wave."""
    (tmp_path / "dog").mkdir()
    values = np.round(np.random.default_rng(0).uniform(-0.5, 0.5, 8000) * scale)
    values[int(loud * len(values)) :] = 0
    written(tmp_path / "dog" / "a.wav", values.astype(np.float32), 16000)
    found = decode(Reading("folder", tmp_path, "waveform", 0.5, {}), "dog/a.wav")
    assert isinstance(found, Refused) and "full scale is 1" in found.reason


def test_a_float_file_that_goes_beyond_full_scale_for_moments_is_taken_as_it_is(tmp_path):
    (tmp_path / "dog").mkdir()
    values = (np.random.default_rng(0).normal(0, 0.5, 8000)).astype(np.float32)
    assert 0.01 < (np.abs(values) > 1).mean() < 0.1
    written(tmp_path / "dog" / "a.wav", values, 16000)
    found = decode(Reading("folder", tmp_path, "waveform", 0.5, {}), "dog/a.wav")
    assert isinstance(found, Decoded)
    np.testing.assert_array_equal(found.data, values)


# ---- from the user's folder to the caches ----

CLIPS = 60  # of each of two classes: one bad clip of 120 is below the folder's 1 %
N_FFT, HOP = 128, 64
BAD = "rain/104-1"


@pytest.fixture
def mine(tmp_path):
    own = tmp_path / "mine"
    published.class_pairs(own, ("audio", "vision"), ("dog", "rain"), CLIPS)
    return own


def prepare(own: Path):
    """Prepare a folder with inputs that can be computed by hand: no resizing, no resampling."""
    settings = [
        "audio.sample_rate=8000",
        "audio.seconds=0.1",
        f"audio.n_fft={N_FFT}",
        f"audio.hop={HOP}",
        "audio.size=null",
        "visual.size=[12, 12]",
        "visual.margin=0",
        "visual.crop=none",
        f"data.path={own}",
    ]
    chosen = [word for setting in settings for word in ("--set", setting)]
    return in_process(own.parent / "home", "prepare", "folder/s_cmrl", *chosen, "--json")


def receipts(home: Path) -> dict[str, dict[str, str]]:
    """Return what each receipt counts as left out: by "folder" (the clips), "stft", "image"."""
    found = {}
    for path in [*home.glob("manifests/*.receipt.json"), *home.glob("cache/*/*/receipt.json")]:
        of_cache = path.parent.name.split("-")[0]
        name = "folder" if of_cache == "manifests" else of_cache
        found[name] = json.loads(path.read_text())["excluded"]
    return found


def cached(home: Path, feature: str) -> dict[str, np.ndarray]:
    found = {}
    for path in home.glob(f"cache/folder/{feature}-*/*.h5"):
        with h5py.File(path) as file:
            names = [name.decode() for name in file["source"][()]]
            assert not set(names) & set(found)
            found |= dict(zip(names, file["rows"][()], strict=False))
    return found


def spectrogram(path: Path) -> np.ndarray:
    """ln(|S| + 1e-7) of a sound, with a periodic Hann window and zeros beyond both ends."""
    samples = np.pad(soundfile.read(path)[0], N_FFT // 2)
    frames = np.lib.stride_tricks.sliding_window_view(samples, N_FFT)[::HOP]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(N_FFT) / N_FFT)
    return np.log(np.abs(np.fft.rfft(frames * window)) + 1e-7).T[None]


def check_caches(own: Path, *, without: set[str]) -> None:
    """The caches hold the files of the folder but some, each as it can be computed by hand."""
    home = own.parent / "home"
    for tree, feature, suffix in (("audio", "stft", "wav"), ("vision", "image", "png")):
        rows = cached(home, feature)
        expected = {
            f"{tree}/{label}/{100 * number + i // 2}-{i % 2}.{suffix}"
            for number, label in enumerate(("dog", "rain"))
            for i in range(CLIPS)
        } - without
        assert set(rows) == expected
        for name, row in rows.items():
            if feature == "stft":
                np.testing.assert_allclose(row, spectrogram(own / name), atol=0.02)
            else:
                with Image.open(own / name) as image:
                    np.testing.assert_array_equal(row, np.asarray(image).transpose(2, 0, 1))


def become(path: Path, target: str | Path) -> None:
    path.unlink()
    path.symlink_to(target)


def piped(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


# found where the files are listed: then nothing of the clip is prepared
LISTED = {
    "empty": ("audio", lambda p: p.write_bytes(b""), "is empty"),
    "dangling": ("audio", lambda p: become(p, "nowhere.wav"), "cannot be read"),
    "loop": ("audio", lambda p: become(p, p.name), "cannot be read"),
    "pipe": ("audio", piped, "is empty"),
    "missing": ("audio", lambda p: p.unlink(), "has no sound"),
    "two-sounds": ("audio", lambda p: shutil.copy(p, p.with_suffix(".flac")), "several files"),
    "device": ("vision", lambda p: become(p, "/dev/zero"), "leaves the folder"),
    "two-images": ("vision", lambda p: shutil.copy(p, p.with_suffix(".jpg")), "several files"),
}
# found where it is decoded: the other half of the pair is there, and training takes neither
DECODED = {
    "cut-sound": ("audio", lambda p: p.write_bytes(p.read_bytes()[:-2]), "cut short"),
    "text": ("audio", lambda p: p.write_text("not a sound\n" * 99), "not a readable sound"),
    "nan": ("audio", lambda p: written(p, np.full(800, np.nan)), "not finite"),
    "silent": ("audio", lambda p: written(p, np.zeros(800)), "silent"),
    "no-samples": ("audio", lambda p: written(p, np.zeros(0)), "no samples"),
    "1-hz": ("audio", lambda p: written(p, np.ones(100) / 2, 1), "rate of 1 Hz"),
    "huge": ("audio", lambda p: written(p, np.full((800, 2), 3e38)), "full scale"),
    "cut-image": ("vision", lambda p: p.write_bytes(p.read_bytes()[:60]), "not a readable image"),
    "sound": ("vision", lambda p: p.write_bytes(b"RIFF\x24\0\0\0WAVEfmt "), "readable image"),
    "bomb": ("vision", lambda p: Image.new("1", (9000, 9000)).save(p), "pixels"),
}


@pytest.mark.parametrize("damage", [*LISTED, *DECODED])
def test_a_damaged_clip_is_left_out_counted_and_named_and_no_other(mine, damage):
    tree, spoil, reason = (LISTED | DECODED)[damage]
    path = mine / tree / f"{BAD}.{'wav' if tree == 'audio' else 'png'}"
    source = path.relative_to(mine).as_posix()
    spoil(path)
    said = prepare(mine)
    assert said.code == 0, said.err
    lines = [line for line in said.err.splitlines() if reason in line]
    assert len(lines) == 1 and BAD in lines[0] and "left out: 1 of 120" in said.err
    found = receipts(mine.parent / "home")
    if damage in LISTED:
        assert found == {"folder": {BAD: found["folder"][BAD]}, "stft": {}, "image": {}}
        assert reason in found["folder"][BAD]
        check_caches(mine, without={f"audio/{BAD}.wav", f"vision/{BAD}.png"})
    else:
        feature, other = ("stft", "image") if tree == "audio" else ("image", "stft")
        assert found == {"folder": {}, feature: {source: found[feature][source]}, other: {}}
        assert reason in found[feature][source]
        check_caches(mine, without={source})


@pytest.mark.parametrize("damage", ["empty", "text", "cut-image"])
def test_more_than_the_allowed_share_stops_prepare_until_it_is_mended(mine, damage):
    """Two of 120 are above the folder's 1 %."""
    tree, spoil, reason = (LISTED | DECODED)[damage]
    suffix = "wav" if tree == "audio" else "png"
    paths = [mine / tree / f"{name}.{suffix}" for name in (BAD, "dog/3-0")]
    contents = [path.read_bytes() for path in paths]
    for path in paths:
        spoil(path)
    said = prepare(mine)
    assert said.code == 4
    assert said.err.splitlines()[-4].endswith("2 of 120 cannot be used, at most 1.0% may:")
    for path in paths:
        (line,) = [line for line in said.err.splitlines() if path.stem in line]
        assert reason in line
    unfinished = {"empty": {"folder", "stft", "image"}, "text": {"stft"}, "cut-image": {"image"}}
    assert not receipts(mine.parent / "home").keys() & unfinished[damage]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    shutil.rmtree(mine.parent / "home")
    assert prepare(mine).code == 0
    check_caches(mine, without=set())


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ([], "holds no sound, image or video"),
        (["notes.txt"], "holds no sound, image or video"),
        (["1.wav"], "fewer than 3 usable clips: new"),
    ],
    ids=["empty", "text", "one-clip"],
)
def test_a_class_folder_too_many_stops_prepare_and_leaves_nothing(mine, more, reason):
    (mine / "audio" / "new").mkdir()
    for name in more:
        shutil.copy(mine / "audio" / f"{BAD}.wav", mine / "audio" / "new" / name)
    said = prepare(mine)
    assert said.code == 4 and reason in said.err and "new" in said.err
    assert receipts(mine.parent / "home") == {}


@pytest.mark.parametrize("name", ["x" * 300 + ".wav", "y/" * 3000 + "z.wav"], ids=["name", "path"])
def test_a_name_longer_than_the_disk_can_have_excludes_its_clip(mine, name):
    rows = [
        f"audio/{label}/{n}-{k}.wav,{label}"
        for label, first in (("dog", 0), ("rain", 100))
        for n in range(first, first + 30)
        for k in (0, 1)
    ]
    (mine / "clips.csv").write_text("\n".join(["audio,label", *rows, f"{name},dog"]))
    clips = folder.pairs(mine, path=str(mine))
    (bad,) = [clip for clip in clips if clip.excluded]
    assert bad.audio == name and "cannot be read" in bad.excluded and len(clips) == 121
