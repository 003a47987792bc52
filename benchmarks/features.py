"""Feature extraction in clips a second, ours in batches against librosa clip by clip."""

from typing import Any

import librosa
import numpy as np
import torch
from interleaved import interleaved

from pipelines.features import logmel, stft
from pipelines.signal.resample import resample

CLIPS, RATE, SECONDS = 64, 22050, 4


def measure_features(device: torch.device, rounds: int) -> dict[str, Any]:
    """STFT 512/353 and 64-band log-mel of 4 s clips at 22,050 Hz; resampling from 44,100 Hz."""
    noise = np.random.default_rng(0).standard_normal((CLIPS, RATE * SECONDS)).astype(np.float32)
    noise *= 0.1
    batches = torch.from_numpy(noise).to(device).split(32)
    double = torch.from_numpy(np.tile(noise, (1, 2))).to(device).split(32)

    def ours(function: Any, inputs: Any) -> Any:
        def run() -> None:
            for batch in inputs:
                function(batch)
            if device.type == "cuda":
                torch.cuda.synchronize()

        return run

    def librosa_stft() -> None:
        for clip in noise:
            np.log(np.abs(librosa.stft(clip, n_fft=512, hop_length=353)) + 1e-7)

    def librosa_logmel() -> None:
        for clip in noise:
            librosa.power_to_db(librosa.feature.melspectrogram(
                y=clip, sr=RATE, n_fft=1024, hop_length=256, n_mels=64))  # fmt: skip

    def soxr_resample() -> None:
        for clip in noise:
            librosa.resample(np.tile(clip, 2), orig_sr=44100, target_sr=22050, res_type="soxr_hq")

    pairs = {
        "stft": (ours(lambda x: stft.extract(x, size=None), batches), librosa_stft),
        "logmel": (ours(lambda x: logmel.extract(x, sample_rate=RATE), batches), librosa_logmel),
        "resample_44100_to_22050": (
            ours(lambda x: resample(x, 44100, 22050), double),
            soxr_resample,
        ),
    }
    result = {}
    for name, (mine, theirs) in pairs.items():
        times = interleaved({"librosa": theirs, "avsnn": mine}, rounds, "librosa")
        result[name] = {
            "avsnn_clips_per_s": round(CLIPS / times["avsnn"]["seconds"]),
            "librosa_clips_per_s": round(CLIPS / times["librosa"]["seconds"]),
            "speed_ratio": round(1 / times["avsnn"]["ratio_to_librosa"], 2),
        }
    return result
