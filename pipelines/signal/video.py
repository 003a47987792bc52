"""Video files to a few frames and a waveform, through PyAV, whose wheels carry FFmpeg.

A file is decoded once, from its beginning: a header's frame count and index are not believed, for
broken recordings have wrong ones, and the same frames come out on every machine.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import DataError
from pipelines.signal.decode import check_levels, check_rate

if TYPE_CHECKING:
    from av.container import InputContainer

Pick = Literal["middle", "random", "even"]

MAX_SECONDS = 600.0
MAX_FRAMES = 60_000
MAX_PIXELS = 1 << 24
MAX_VALUES = 2**28
# FFmpeg goes by content: a script by a film's name would show another clip's frames, or itself
# until no file can be opened any more
CONTAINERS = "asf,avi,flv,matroska,mov,mpeg,mpegts,mpegvideo,ogg,wav"
HINT = "put a good copy in its place, or leave the clip out"


def read_frames(
    path: Path, *, pick: Pick, frames: int, pick_seed: int, name: str, seconds: float | None = None
) -> NDArray[np.uint8]:
    """Decode some frames of a video: (frames, H, W, 3) uint8, in order of time.

    pick: "middle", the frames around the middle; "even", the middles of equal parts; "random",
    chosen by a hash of pick_seed and name (with repetition only if there are too few). seconds:
    look only at frames that begin before. Raises DataError, naming the file, for what cannot be
    decoded, holds no frame, or is longer than 10 minutes.
    """
    count = count_frames(path, seconds)
    chosen = choose(count, pick=pick, frames=frames, pick_seed=pick_seed, name=name)
    wanted, found = set(chosen), dict[int, NDArray[np.uint8]]()
    for number, frame in enumerate(_frames(path, seconds)):
        if number in wanted:
            found[number] = frame.to_ndarray(format="rgb24")
        if number >= chosen[-1]:
            break
    shapes = {image.shape for image in found.values()}
    if len(shapes) != 1 or len(found) != len(wanted):
        raise DataError(f"{path}: its frames have different sizes: {sorted(shapes)}", HINT)
    return np.stack([found[number] for number in chosen])


def choose(count: int, *, pick: Pick, frames: int, pick_seed: int, name: str) -> list[int]:
    """Say which of `count` frames are taken, ascending; see `read_frames`."""
    if pick == "even":
        return [min(count - 1, (2 * i + 1) * count // (2 * frames)) for i in range(frames)]
    if pick == "middle":
        first = max(0, min(count - frames, (count - frames + 1) // 2))
        return [min(count - 1, first + i) for i in range(frames)]
    # by a hash: the same on every machine and in every version of every library
    hashes = [sha256(f"{pick_seed}/{name}/{i}".encode()).digest() for i in range(count)]
    numbers = sorted(range(count), key=hashes.__getitem__)
    return sorted((numbers * -(-frames // count))[:frames])


def count_frames(path: Path, seconds: float | None = None) -> int:
    """Count a video's frames by decoding it. Raises DataError as `read_frames` does."""
    count = sum(1 for _ in _frames(path, seconds))
    if not count:
        raise DataError(f"{path}: holds no frame that can be decoded", HINT)
    return count


def read_sound(path: Path) -> tuple[NDArray[np.float32], int]:
    """Decode the sound of a container: (channels, samples) float32 in [-1, 1], and the rate in Hz.

    Raises DataError, naming the file, if there is no sound, or it cannot be decoded or changes
    its format half-way.
    """
    parts: list[NDArray[np.float32]] = []
    values, formats = 0, set[tuple[int, int]]()
    with _opened(path) as container:
        if not container.streams.audio:
            raise DataError(f"{path}: holds no sound", HINT)
        for frame in container.decode(audio=0):
            part = _waveform(frame)
            formats.add((len(part), frame.sample_rate))
            values += part.size
            if values > MAX_VALUES or values > MAX_SECONDS * frame.sample_rate * len(part):
                raise DataError(f"{path}: its sound is longer than {MAX_SECONDS:g} s", HINT)
            parts.append(part)
    if not values or len(formats) != 1:
        raise DataError(f"{path}: its sound is empty or changes its format", HINT)
    waveform = np.concatenate(parts, axis=1)
    rate_hz = formats.pop()[1]
    check_rate(path, rate_hz)
    check_levels(path, waveform)
    return waveform, rate_hz


def _waveform(frame: Any) -> NDArray[np.float32]:
    """Turn a decoded piece of sound into (channels, samples) float32 with full scale at 1."""
    values: NDArray[Any] = frame.to_ndarray()
    channels = len(frame.layout.channels)
    if not frame.format.is_planar:
        values = values.reshape(-1, channels).T
    if values.dtype == np.uint8:
        return (values.astype(np.float32) - np.float32(128)) / np.float32(128)
    scale = 1.0 if values.dtype.kind == "f" else -float(np.iinfo(values.dtype).min)
    scaled: NDArray[np.float32] = (values / scale).astype(np.float32)
    return scaled


def _frames(path: Path, seconds: float | None) -> Iterator[Any]:
    """Decode the first video stream, frame by frame, bounded."""
    with _opened(path) as container:
        if not container.streams.video:
            raise DataError(f"{path}: holds no picture", HINT)
        stream = container.streams.video[0]
        # as many threads as the machine has would decode the same frames, in more memory
        stream.thread_type = "NONE"
        limit = MAX_SECONDS if seconds is None else min(seconds, MAX_SECONDS)
        began: float | None = None
        for number, frame in enumerate(container.decode(stream)):
            if frame.width * frame.height > MAX_PIXELS:
                raise DataError(f"{path}: frames of {frame.width} x {frame.height} pixels", HINT)
            # some containers do not begin at 0
            began = frame.time if began is None else began
            played = (frame.time or 0.0) - (began or 0.0)
            if number and seconds is not None and played > limit - 1e-6:
                return
            if number >= MAX_FRAMES or played > MAX_SECONDS:
                raise DataError(f"{path}: longer than {MAX_SECONDS:g} s", HINT)
            yield frame


@contextmanager
def _opened(path: Path) -> "Iterator[InputContainer]":
    """Open a container and turn whatever goes wrong with it into one line."""
    import av  # 0.2 s to import

    if not path.is_file():
        raise DataError(f"{path}: no such file", "run `avsnn download` for its dataset")
    try:
        # only files: a playlist must not fetch others
        options = {"protocol_whitelist": "file", "format_whitelist": CONTAINERS}
        with av.open(str(path), options=options) as container:
            yield container
    except (av.FFmpegError, ValueError, TypeError, MemoryError, IndexError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise DataError(f"{path}: not a readable video: {reason}", HINT) from error
