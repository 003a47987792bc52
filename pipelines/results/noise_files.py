"""Names of result files."""

from pipelines.recipe.noise import Noise, SnrRange


def noise_result(noise: Noise) -> str:
    """Return the stem of a sweep's files: noise-<modality>, and what differs from the defaults.

    No two sweeps have one name: noise-audio_0to30by10dB_seed3-batch-power, noise-both_10dB.
    """
    snr, stem = noise.snr_db, f"noise-{noise.modality}"
    if snr.start == snr.stop:
        stem += f"_{snr.start:.9g}dB"
    elif snr != SnrRange():
        stem += f"_{snr.start:.9g}to{snr.stop:.9g}by{snr.step:.9g}dB"
    if noise.seed:
        stem += f"_seed{noise.seed}"
    return stem + ("" if noise.power == "sample" else "-batch-power")
