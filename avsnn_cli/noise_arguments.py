"""The noise that `avsnn noise-eval` applies, as typed: --snr, --modality, --set, --event-noise."""

from collections.abc import Sequence

from pipelines import registry
from pipelines.errors import UsageError
from pipelines.recipe.noise import EventNoise, Noise, parse_event_noise, parse_range
from pipelines.recipe.recipe import Recipe

MODALITIES = ["audio", "visual", "both"]


def noise_overrides(
    settings: Sequence[str], snr: str | None, modality: str | None
) -> tuple[str, ...]:
    """Add --snr and --modality to the overrides of a run's recipe.

    Raises UsageError for values that do not exist, and for a setting that training has used.
    """
    for setting in settings:
        # any other section would describe a run that was never trained
        if setting.split(".")[0].strip() not in ("noise", "runtime"):
            hint = "of a trained run only noise and runtime can be set"
            raise UsageError(f"--set {setting}: the run was trained without it", hint)
    if modality and modality not in MODALITIES:
        hint = registry.closest(modality, MODALITIES)
        raise UsageError(f"--modality {modality}: no such input", hint)
    overrides = list(settings)
    if modality:
        overrides.append(f"noise.modality={modality}")
    if snr is not None:
        overrides.append(f"noise.snr_db={parse_range(snr).model_dump_json()}")
    return tuple(overrides)


def event_noise_of(text: str | None, snr: str | None, modality: str | None) -> EventNoise | None:
    """Read --event-noise, applied to the input of --modality; None where it is not used.

    Raises UsageError for text that is no such noise, and beside --snr.
    """
    if text is None:
        return None
    if snr is not None:
        raise UsageError(
            "--snr is of white noise, --event-noise of events: a sweep has one of them",
            "give them to two commands",
        )
    return parse_event_noise(text, modality)


def noise_of(recipe: Recipe, event_noise: EventNoise | None) -> Noise | EventNoise:
    """Return the noise to sweep over: event noise with the recipe's seed, else the recipe's."""
    if event_noise is None:
        return recipe.noise
    return event_noise.model_copy(update={"seed": recipe.noise.seed})
