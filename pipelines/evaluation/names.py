"""Names of result files."""

from pipelines.recipe_noise import Noise


def noise_result(noise: Noise) -> str:
    """Return the stem of a sweep's files: noise-<modality>, marked if power is by batch."""
    return f"noise-{noise.modality}" + ("" if noise.power == "sample" else "-batch-power")
