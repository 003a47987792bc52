"""Containers of pictures and sound, opened through PyAV, whose wheels carry FFmpeg."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from errno import ENOMEM
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pipelines.errors import DataError
from pipelines.readers.cut_short import ends_early
from pipelines.readers.hints import DOWNLOAD, REPLACE_CLIP

if TYPE_CHECKING:
    from av.container import InputContainer

# FFmpeg goes by content: a playlist by a film's name would show another clip's frames, or open
# itself until no file can be opened any more
CONTAINERS = "asf,avi,flv,matroska,mov,mpeg,mpegts,mpegvideo,ogg,wav"
# formats whose headers declare the length of the film, where FFmpeg takes it from there
DECLARED = ("flv", "matroska", "mov")
SLACK_S = 0.25  # how much shorter than declared a film may be: the last packet has no length
PROBE_BYTES = 1 << 26


@contextmanager
def opened(path: Path, kinds: str = CONTAINERS) -> "Iterator[InputContainer]":
    """Open a container for reading; what goes wrong inside the block becomes a DataError.

    kinds: FFmpeg's names of the formats that are taken, separated by commas.
    """
    import av  # 0.2 s to import

    if not path.is_file():
        raise DataError(f"{path}: no such file", DOWNLOAD)
    try:
        # only files: a playlist must not fetch others
        options = {"protocol_whitelist": "file", "format_whitelist": kinds}
        with av.open(str(path), options=options) as container:
            yield container
    except (av.FFmpegError, ValueError, TypeError, IndexError) as error:
        if getattr(error, "errno", None) == ENOMEM:
            # FFmpeg reports a file that claims too much and a full machine alike: where 64 MiB
            # cannot be had, MemoryError leaves here and the file is not blamed
            bytearray(PROBE_BYTES)
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        what = "video" if kinds == CONTAINERS else "sound file"
        raise DataError(f"{path}: not a readable {what}: {reason}", REPLACE_CLIP) from error


def default_track(container: "InputContainer", kind: Literal["audio", "video"]) -> Any:
    """Return the track that a player takes: the default one, else the first; None if there is none.

    A cover picture is no video track.
    """
    import av

    default, cover = av.stream.Disposition.default, av.stream.Disposition.attached_pic
    tracks = [
        track for track in container.streams if track.type == kind and not track.disposition & cover
    ]
    # min keeps the first of equals
    return min(tracks, key=lambda track: not track.disposition & default, default=None)


def decoded(
    container: "InputContainer", track: Any, path: Path, needed_s: float | None = None
) -> Iterator[Any]:
    """Decode a track to its end, in the order in which it is shown.

    Raises DataError at the end if the file was cut, or is shorter than its header declares;
    needed_s: but not if it is as long as this.
    """
    import av

    began_s = ended_s = begins_s(container)
    # an MPEG film cut just between two packets shows in one way: its last picture is incomplete
    pictures = default_track(container, "video") if container.format.name == "mpeg" else None
    is_incomplete = False
    frames: Sequence[Any] = ()
    # all tracks' packets: a film is as long as its longest track, whichever is decoded
    for packet in container.demux():
        if packet.pts is not None and packet.time_base is not None:
            ended_s = max(ended_s, float((packet.pts + (packet.duration or 0)) * packet.time_base))
        is_picture = pictures is not None and packet.stream.index == pictures.index
        if packet.stream.index == track.index:
            frames = packet.decode()
            yield from frames
        elif is_picture:
            with suppress(av.FFmpegError):
                frames = packet.decode()
        if is_picture and frames:
            is_incomplete = frames[-1].is_corrupt
    played_s = ended_s - began_s
    if needed_s is not None and played_s >= needed_s - SLACK_S:
        return
    declared_s = (container.duration or 0) / 1e6
    is_declared = container.format.name.split(",")[0] in DECLARED
    if is_declared and played_s < declared_s - SLACK_S:
        raise DataError(
            f"{path}: ends early, after {played_s:.2f} of {declared_s:.2f} s", REPLACE_CLIP
        )
    if is_incomplete or ends_early(path):
        raise DataError(f"{path}: ends early, cut short after {played_s:.2f} s", REPLACE_CLIP)


def begins_s(container: "InputContainer") -> float:
    """Return when the first of a container's tracks begins, on its own clock."""
    starts = [
        float(track.start_time * track.time_base)
        for track in container.streams
        if track.start_time is not None and track.time_base and track.type in ("audio", "video")
    ]
    return min(starts, default=0.0)
