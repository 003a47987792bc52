"""Read a few frames of video files.

A file is decoded from its beginning. A header's frame count and index are not used: broken
recordings have wrong ones, and without them every machine returns the same frames.
"""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import DataError
from pipelines.readers.containers import decoded, default_track, opened
from pipelines.readers.cut_short import ends_early
from pipelines.readers.hints import REPLACE_CLIP

Pick = Literal["middle", "random", "even"]

MAX_SECONDS = 600.0
MAX_FRAMES = 60_000
MAX_PIXELS = 1 << 24


def read_frames(
    path: Path, *, pick: Pick, frames: int, pick_seed: int, name: str, seconds: float | None = None
) -> NDArray[np.uint8]:
    """Decode some frames of a video: (frames, H, W, 3) uint8, in order of time, turned upright.

    A film of n frames has n moments, the middles of n equal parts of its time, whatever its frame
    rate does; of these moments pick takes "middle", those around the middle; "even", the
    middles of equal parts; "random", some by a hash of pick_seed and name (with repetition only if
    there are too few). seconds: only frames that begin before count. Raises DataError, naming
    the file, for what cannot be decoded, holds no frame, ends early, or is longer than 10 minutes.
    """
    times_s = frame_times(path, seconds)
    shown = on_screen(times_s)
    moments = choose(len(shown), pick=pick, frames=frames, pick_seed=pick_seed, name=name)
    chosen = [shown[moment] for moment in moments]
    # decoded a second time, as only now it is known which; all frames at once would fill the memory
    numbers, images = set(chosen), dict[int, NDArray[np.uint8]]()
    for number, frame in enumerate(_frames(path, seconds)):
        if number in numbers:
            images[number] = upright(path, frame.to_ndarray(format="rgb24"), frame)
        if number >= chosen[-1]:
            break
    shapes = {image.shape for image in images.values()}
    if len(shapes) != 1 or len(images) != len(numbers):
        raise DataError(f"{path}: its frames have different sizes: {sorted(shapes)}", REPLACE_CLIP)
    return np.stack([images[number] for number in chosen])  # one may be chosen twice


def choose(count: int, *, pick: Pick, frames: int, pick_seed: int, name: str) -> list[int]:
    """Return which of `count` moments are taken, ascending; see `read_frames`."""
    if pick == "even":
        return [min(count - 1, (2 * i + 1) * count // (2 * frames)) for i in range(frames)]
    if pick == "middle":
        first = max(0, min(count - frames, (count - frames + 1) // 2))
        return [min(count - 1, first + i) for i in range(frames)]
    # by a hash and not by a generator: the same on every machine and in every library's version
    hashes = [sha256(f"{pick_seed}/{name}/{i}".encode()).digest() for i in range(count)]
    numbers = sorted(range(count), key=hashes.__getitem__)
    return sorted((numbers * -(-frames // count))[:frames])


def on_screen(times_s: NDArray[np.float64]) -> list[int]:
    """Return which frame is shown at each of n moments, the middles of n equal parts of the film.

    times_s: (n + 1,) when each of n frames begins, ascending, and when the last one ends. Evenly
    spaced frames are shown at one moment each.
    """
    count = len(times_s) - 1
    moments = times_s[0] + (np.arange(count) + 0.5) / count * (times_s[-1] - times_s[0])
    shown = np.searchsorted(times_s[:-1], moments, side="right") - 1
    return [int(number) for number in np.maximum(shown, 0)]


def frame_times(path: Path, seconds: float | None = None) -> NDArray[np.float64]:
    """Return when the n frames of a video begin, and when the last one ends: (n + 1,) s.

    The video is decoded. Where a container has no times, frames are evenly spaced.
    Raises DataError as `read_frames` does.
    """
    times: list[float | None] = []
    length_s = 0.0
    for frame in _frames(path, seconds):
        times.append(frame.time)
        length_s = float((frame.duration or 0) * (frame.time_base or 0))
    if not times:
        raise DataError(f"{path}: holds no frame that can be decoded", REPLACE_CLIP)
    known = [time for time in times if time is not None]
    if len(known) < len(times) or len(times) == 1:
        return np.arange(len(times) + 1, dtype=np.float64)
    # a damaged time that runs backwards would give a frame a negative duration
    began = np.maximum.accumulate(np.array(known, np.float64))
    spacing_s = (began[-1] - began[0]) / (len(began) - 1)
    if not spacing_s:
        return np.arange(len(times) + 1, dtype=np.float64)
    if seconds is not None:
        length_s = min(length_s, began[0] + seconds - began[-1])
    # some containers give the last frame next to no time
    return np.append(began, began[-1] + max(spacing_s, length_s))


def count_frames(path: Path, seconds: float | None = None) -> int:
    """Count a video's frames by decoding it. Raises DataError as `read_frames` does."""
    return len(frame_times(path, seconds)) - 1


def upright(path: Path, image: NDArray[np.uint8], frame: Any) -> NDArray[np.uint8]:
    """Turn and mirror an image (H, W, 3) by the container's display matrix, as players do.

    The matrix is (a, b, u, c, d, v, x, y, w): a point goes to (a x + c y, b x + d y).
    """
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return image
    # fixed point, 16 bits after the point
    a, b, _, c, d, *_ = (
        round(value / 65536, 3) for value in np.frombuffer(matrix, np.int32).tolist()
    )
    if b or c:  # rows and columns change places: a quarter turn, and no other angle
        if a or d or not (b and c):
            raise DataError(f"{path}: turned by an angle that is no quarter turn", REPLACE_CLIP)
        image, a, d = image.transpose(1, 0, 2), c, b
    return np.ascontiguousarray(image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])


def _frames(path: Path, seconds: float | None) -> Iterator[Any]:
    """Decode the default video track, frame by frame, bounded."""
    with opened(path) as container:
        track = default_track(container, "video")
        if track is None:
            lacks = "ends early, before any picture" if ends_early(path) else "holds no picture"
            raise DataError(f"{path}: {lacks}", REPLACE_CLIP)
        # as many threads as the machine has would decode the same frames, in more memory
        track.thread_type = "NONE"
        limit = MAX_SECONDS if seconds is None else min(seconds, MAX_SECONDS)
        began: float | None = None
        for number, frame in enumerate(decoded(container, track, path, seconds)):
            if frame.width * frame.height > MAX_PIXELS:
                raise DataError(
                    f"{path}: frames of {frame.width} x {frame.height} pixels", REPLACE_CLIP
                )
            # some containers do not begin at 0
            began = frame.time if began is None else began
            played = (frame.time or 0.0) - (began or 0.0)
            # frame 0 is always returned, however short `seconds` is
            if number and seconds is not None and played > limit - 1e-6:
                return
            if number >= MAX_FRAMES or played > MAX_SECONDS:
                raise DataError(f"{path}: longer than {MAX_SECONDS:g} s", REPLACE_CLIP)
            yield frame
