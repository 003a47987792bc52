"""Read sound files into arrays: decode, mix down to one channel, bring to one length.

Arrays here are numpy float32; `torch.from_numpy` takes them on without a copy.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from pipelines.errors import DataError
from pipelines.readers.hints import DOWNLOAD, REPLACE_CLIP
from pipelines.readers.mp3 import read_mp3
from pipelines.readers.sound_files import open_sound

MIN_RATE_HZ, MAX_RATE_HZ = 1000, 384_000
MAX_CHANNELS = 64
MAX_VALUES = 2**28  # one gibibyte of float32, whatever a small compressed file claims to hold
MAX_LEVEL = 64.0  # 36 dB above full scale: whole numbers stored as floats, or damage


def read_wav(path: Path, max_seconds: float = 600.0) -> tuple[NDArray[np.float32], int]:
    """Decode a sound file (WAV, or another format that libsndfile knows) into memory.

    max_seconds: the longest clip that is read. Returns the waveform (channels, samples), float32
    with full scale at ±1 (float files may go beyond), and the sampling rate in Hz.
    Raises DataError, naming the file, if it is missing, empty, cut short, too long, not audio,
    of a rate outside 1 to 384 kHz, or holds values that `check_levels` refuses.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file", DOWNLOAD)
    try:
        with open_sound(path) as file:
            rate_hz, frames = int(file.samplerate), int(file.frames)
            check_rate(path, rate_hz)
            if not 1 <= file.channels <= MAX_CHANNELS:
                raise DataError(
                    f"{path}: {file.channels} channels, at most {MAX_CHANNELS}", REPLACE_CLIP
                )
            if file.subtype == "MPEG_LAYER_III":
                waveform = read_mp3(path)  # its header need not know how long it is
                _check_length(path, waveform.shape[1], len(waveform), rate_hz, max_seconds)
                return waveform, rate_hz
            # before a sample is decoded: a small compressed file can declare hours
            _check_length(path, frames, int(file.channels), rate_hz, max_seconds)
            waveform = _read_samples(path, file)
    # TypeError: a name like x.raw makes soundfile ask for a format instead of reading one
    except (soundfile.SoundFileError, TypeError) as error:
        reason = getattr(error, "error_string", str(error))
        raise DataError(f"{path}: not a readable sound file: {reason}", REPLACE_CLIP) from error
    return waveform, rate_hz


def _check_length(path: Path, frames: int, channels: int, rate_hz: int, max_seconds: float) -> None:
    if frames == 0:
        raise DataError(f"{path}: holds no samples", REPLACE_CLIP)
    if frames > max_seconds * rate_hz or frames * channels > MAX_VALUES:
        raise DataError(
            f"{path}: {frames / rate_hz:.0f} s of {channels} channels, at most {max_seconds:g} s "
            f"and {MAX_VALUES} values",
            "cut the recording into clips first",
        )


def _read_samples(path: Path, file: Any) -> NDArray[np.float32]:
    frames = int(file.frames)
    # libsndfile's own conversion to float32 takes three times as long, for the same numbers
    as_int16 = file.subtype == "PCM_16"
    samples = file.read(dtype="int16" if as_int16 else "float32", always_2d=True)
    if len(samples) != frames:
        raise DataError(f"{path}: cut short after {len(samples)} of {frames} samples", REPLACE_CLIP)
    waveform: NDArray[np.float32] = np.ascontiguousarray(samples.T, dtype=np.float32)
    # 16-bit values cannot leave ±1, so only the others are checked
    if as_int16:
        waveform *= np.float32(1 / 32768)
    else:
        check_levels(path, waveform)
    return waveform


def check_rate(where: Path | str, rate_hz: int) -> None:
    """Raise DataError for a rate at which nothing is recorded, such as a flipped bit makes."""
    if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
        raise DataError(
            f"{where}: sampling rate of {rate_hz} Hz, not {MIN_RATE_HZ} to {MAX_RATE_HZ}",
            REPLACE_CLIP,
        )


def check_levels(where: Path | str, waveform: NDArray[np.float32]) -> None:
    """Raise DataError for values that are not finite numbers, or not on a scale of ±1.

    A float file may go beyond full scale for moments. Where most of it does, or one value by far,
    it holds whole numbers, or damage: cut off at full scale it would be a square wave.
    """
    lowest, highest = float(waveform.min()), float(waveform.max())  # NaN if one value is
    if not (math.isfinite(lowest) and math.isfinite(highest)):
        raise DataError(f"{where}: holds values that are not finite numbers", REPLACE_CLIP)
    peak = max(-lowest, highest)
    if peak <= 1:
        return
    # of the values that are not 0: padding does not make a file of whole numbers right
    beyond = np.count_nonzero(np.abs(waveform) > 1) / np.count_nonzero(waveform)
    if peak > MAX_LEVEL or beyond > 0.5:
        raise DataError(
            f"{where}: holds values up to {peak:.6g}, full scale is 1; {beyond:.0%} of them lie "
            "beyond it",
            "divide whole numbers that were stored as floats by their range, 32768 for 16 bits",
        )


def to_mono(waveform: NDArray[np.float32]) -> NDArray[np.float32]:
    """Average the channels: (channels, samples) to (samples,)."""
    # an average would copy the one channel that most clips have
    mono: NDArray[np.float32] = waveform[0] if len(waveform) == 1 else waveform.mean(axis=0)
    return mono


def fit_length(waveform: NDArray[np.float32], samples: int) -> NDArray[np.float32]:
    """Cut the end off, or pad zeros to the end: (..., any) to (..., samples).

    Zeros are the constant padding of S-CMRL's audio front end.
    """
    missing = samples - waveform.shape[-1]
    if missing == 0:
        return waveform
    if missing < 0:
        return waveform[..., :samples].copy()  # a view would keep the whole recording in memory
    return np.pad(waveform, [(0, 0)] * (waveform.ndim - 1) + [(0, missing)])
