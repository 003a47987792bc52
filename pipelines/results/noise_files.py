"""Names of the files of noise sweeps."""

from pathlib import Path

from pipelines.recipe.noise import EventNoise, Noise, SnrRange


def noise_result(noise: Noise | EventNoise) -> str:
    """Return the stem of a sweep's files: noise-<modality>, and the settings that are no defaults.

    Sweeps with different settings have different names, such as noise-both_10dB,
    noise-audio_0to30by10dB_seed3-batch-power, and for events event-noise-visual_rate_5_seed3.
    """
    if isinstance(noise, EventNoise):
        return _event_noise_result(noise)
    snr, stem = noise.snr_db, f"noise-{noise.modality}"
    if snr.start == snr.stop:
        stem += f"_{snr.start:.9g}dB"  # 9 digits: 0.1 + 0.2 is written 0.3
    elif snr != SnrRange():
        stem += f"_{snr.start:.9g}to{snr.stop:.9g}by{snr.step:.9g}dB"
    if noise.seed:
        stem += f"_seed{noise.seed}"
    return stem + ("" if noise.power == "sample" else "-batch-power")


def ending(stem: Path, end: str) -> Path:
    """Return a sweep's file; Path.with_suffix would cut a level such as 0.5 at its point."""
    return stem.with_name(stem.name + end)


def _event_noise_result(noise: EventNoise) -> str:
    stem = f"event-noise-{noise.modality}_{noise.kind}_{noise.start:.9g}"
    if noise.start != noise.stop:
        stem += f"to{noise.stop:.9g}by{noise.step:.9g}"
    return stem + (f"_seed{noise.seed}" if noise.seed else "")
