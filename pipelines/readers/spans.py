"""Read stretches of long recordings of several microphones, without the rest of the file."""

import os
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soundfile
from numpy.typing import NDArray

from pipelines.errors import DataError
from pipelines.readers.hints import DOWNLOAD, FETCH_RECORDING
from pipelines.readers.sound import check_levels, check_rate, read_wav
from pipelines.readers.sound_files import open_sound

MAX_VALUES = 2**26  # of one clip: 256 MiB of float32
MAX_SECONDS = 6 * 3600  # of a recording, whatever its header claims
SLACK_S = 0.05  # how far a labelled end may lie beyond the file's: labels are rounded
SPAN = re.compile(r"(.+)#([0-9]+\.[0-9]+)-([0-9]+\.[0-9]+)")


class Header(NamedTuple):
    """The length that a sound file declares, and why the file cannot be used ("" if it can)."""

    seconds: float
    fault: str


def source_name(path: str, start_s: float, end_s: float) -> str:
    """Name a stretch of a file: "<path>#<start>-<end>", in seconds, to the microsecond."""
    return f"{path}#{start_s:.6f}-{end_s:.6f}"


def header(path: Path, microphones: int, rate_hz: int) -> Header:
    """Read a sound file's header; a file that is damaged or of another kind has a fault."""
    try:
        with _opened(path) as file:
            seconds = file.frames / file.samplerate
            if file.channels != microphones:
                return Header(seconds, f"{file.channels} channels, not {microphones}")
            if file.samplerate != rate_hz:
                return Header(seconds, f"{file.samplerate} Hz, not {rate_hz} Hz")
            if not 0 < seconds <= MAX_SECONDS:
                return Header(seconds, f"{seconds:.0f} s long, not 0 to {MAX_SECONDS} s")
            return Header(seconds, "")
    except DataError as error:
        return Header(0.0, error.message.removeprefix(f"{path}: "))


def fitted(start_s: float, end_s: float, seconds: float) -> tuple[float, str]:
    """Return a labelled end, moved back to the file's if it is a little later, and a fault."""
    if end_s > seconds + SLACK_S or start_s >= seconds:
        return end_s, f"{start_s:g} to {end_s:g} s of a recording of {seconds:g} s"
    return min(end_s, seconds), ""


def read_span(raw: Path, source: str, microphones: int) -> tuple[NDArray[np.float32], int]:
    """Read a source "<path>#<start>-<end>", or a whole file "<path>", below the folder `raw`.

    Returns the waveforms (microphones, samples), float32 with full scale at ±1, and the rate in
    Hz. Raises DataError, naming the source, if it is missing, outside `raw`, not audio, of another
    number of channels, shorter than the span, longer than 2^26 values, or not finite.
    """
    match = SPAN.fullmatch(source)
    path = raw / (match[1] if match else source)
    # a listing must not lead out of the data set's folder, by .. or by a link; not Path.resolve,
    # which raises on a link to itself, in some versions a RuntimeError
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(raw)):
        raise DataError(f"{source}: outside the data set's folder", FETCH_RECORDING)
    if match is None:
        waveforms, rate_hz = read_wav(path)
        if len(waveforms) != microphones:
            raise DataError(
                f"{source}: {len(waveforms)} channels, not {microphones}", FETCH_RECORDING
            )
        return waveforms, rate_hz
    with _opened(path) as file:
        rate_hz = int(file.samplerate)
        if file.channels != microphones:
            raise DataError(
                f"{source}: {file.channels} channels, not {microphones}", FETCH_RECORDING
            )
        check_rate(source, rate_hz)
        # in samples, as the name's microseconds round to them
        first, end = (round(float(seconds) * rate_hz) for seconds in match.groups()[1:])
        if not 0 <= first < end <= file.frames:
            raise DataError(
                f"{source}: no such span in a recording of {file.frames / rate_hz:.3f} s",
                FETCH_RECORDING,
            )
        if (end - first) * microphones > MAX_VALUES:
            raise DataError(
                f"{source}: {(end - first) / rate_hz:.0f} s, too long a clip", FETCH_RECORDING
            )
        try:
            file.seek(first)
            samples = file.read(end - first, dtype="float32", always_2d=True)
        except soundfile.SoundFileError as error:
            raise DataError(
                f"{source}: not a readable sound file: {error}", FETCH_RECORDING
            ) from error
    if len(samples) != end - first:
        raise DataError(f"{source}: cut short after {len(samples)} samples", FETCH_RECORDING)
    check_levels(source, samples)
    return np.ascontiguousarray(samples.T), rate_hz


def _opened(path: Path) -> Any:
    if not path.is_file():
        raise DataError(f"{path}: no such file", DOWNLOAD)
    try:
        return open_sound(path)
    # TypeError: a name like x.raw makes soundfile ask for a format instead of reading one
    except (soundfile.SoundFileError, TypeError, OSError) as error:
        reason = getattr(error, "error_string", str(error))
        raise DataError(f"{path}: not a readable sound file: {reason}", FETCH_RECORDING) from error
