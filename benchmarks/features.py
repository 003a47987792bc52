"""Measure feature extraction in clips a second: batches here, clip by clip in the reference."""

from typing import Any

import librosa
import numpy as np
import torch
from interleaved import interleaved

from pipelines.features import gcc_phat, logmel, stft
from pipelines.signal.resample import resample

CLIPS, RATE, SECONDS = 64, 22050, 4


def measure_features(device: torch.device, rounds: int) -> dict[str, Any]:
    """Time STFT 512/353 and 64-band log-mel of 4 s clips at 22,050 Hz, and resampling to it.

    The reference is librosa. GCC-PHAT (6 pairs, 51 lags, 64 ms windows every 32 ms, 4 s at 16 kHz)
    is timed against a NumPy loop over pairs.
    """
    noise = np.random.default_rng(0).standard_normal((CLIPS, RATE * SECONDS)).astype(np.float32)
    noise *= 0.1
    batches = torch.from_numpy(noise).to(device).split(32)
    double = torch.from_numpy(np.tile(noise, (1, 2))).to(device).split(32)

    def ours(function: Any, inputs: Any) -> Any:
        def run() -> None:
            for batch in inputs:
                function(batch)
            # kernels run on after the call returns
            if device.type == "cuda":
                torch.cuda.synchronize()

        return run

    def librosa_stft() -> None:
        for clip in noise:
            np.log(np.abs(librosa.stft(clip, n_fft=512, hop_length=353)) + 1e-7)

    def librosa_logmel() -> None:
        for clip in noise:
            librosa.power_to_db(
                librosa.feature.melspectrogram(
                    y=clip, sr=RATE, n_fft=1024, hop_length=256, n_mels=64
                )
            )

    def soxr_resample() -> None:
        for clip in noise:
            librosa.resample(np.tile(clip, 2), orig_sr=44100, target_sr=22050, res_type="soxr_hq")

    array = np.random.default_rng(1).standard_normal((CLIPS, 4, 16000 * 4)).astype(np.float32)
    arrays = torch.from_numpy(array).to(device).split(16)

    def numpy_gcc_phat() -> None:
        window = np.hanning(1025)[:-1].astype(np.float32)
        for clip in array:
            padded = np.pad(clip, ((0, 0), (512, 512)))
            frames = np.lib.stride_tricks.sliding_window_view(padded, 1024, 1)[:, ::512]
            spectra = np.fft.rfft(frames * window, axis=-1)
            for i in range(4):
                for j in range(i + 1, 4):
                    cross = spectra[i].conj() * spectra[j]
                    lags = np.fft.irfft(cross / np.maximum(np.abs(cross), 1e-12), axis=-1)
                    np.concatenate([lags[:, -25:], lags[:, :26]], 1)

    pairs = {
        "stft": (ours(lambda x: stft.extract(x, size=None), batches), librosa_stft),
        "logmel": (ours(lambda x: logmel.extract(x, sample_rate=RATE), batches), librosa_logmel),
        "resample_44100_to_22050": (
            ours(lambda x: resample(x, 44100, 22050), double),
            soxr_resample,
        ),
        "gcc_phat": (
            ours(lambda x: gcc_phat.extract(x, sample_rate=16000), arrays),
            numpy_gcc_phat,
        ),
    }
    result = {}
    for name, (mine, theirs) in pairs.items():
        times = interleaved({"reference": theirs, "avsnn": mine}, rounds, "reference")
        result[name] = {
            "avsnn_clips_per_s": round(CLIPS / times["avsnn"]["seconds"]),
            "reference_clips_per_s": round(CLIPS / times["reference"]["seconds"]),
            "speed_ratio": round(1 / times["avsnn"]["ratio_to_reference"], 2),
        }
    return result
