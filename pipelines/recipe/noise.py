"""Which signal-to-noise ratios a noise test runs over, in a recipe and on the command line."""

import math
import re
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, model_validator

from pipelines.errors import UsageError
from pipelines.recipe.messages import show
from pipelines.recipe.schema_messages import plain_words
from pipelines.recipe.settings_from_signature import Section

MAX_LEVELS = 1000

Decibels = Annotated[float, Field(ge=-200, le=200)]


class SnrRange(Section):
    """Signal-to-noise ratios in dB from start to stop, both in it."""

    start: Decibels = Field(default=0.0, description="First ratio in dB.")
    stop: Decibels = Field(default=30.0, description="Last ratio in dB, where the steps meet it.")
    step: float = Field(
        default=5.0, ge=0.001, le=400, description="Distance in dB between two ratios."
    )

    @model_validator(mode="after")
    def _countable(self) -> Self:
        if self.stop < self.start:
            raise ValueError(f"stop ({self.stop:g}) is below start ({self.start:g})")
        if self._count() > MAX_LEVELS:
            raise ValueError(f"{self._count()} levels; at most {MAX_LEVELS}")
        return self

    def _count(self) -> int:
        return math.floor((self.stop - self.start) / self.step + 1e-9) + 1

    def levels(self) -> list[float]:
        """List the ratios in dB, each counted from start so that no rounding adds up."""
        return [round(self.start + index * self.step, 9) for index in range(self._count())]


def parse_range(text: str) -> SnrRange:
    """Read the range of the command line, "0:30:5" or one level "10", in dB.

    Raises UsageError for anything else.
    """
    hint = "write start:stop:step in dB, both ends in it, such as 0:30:5, or one level"
    parts = text.split(":")
    number = r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)"
    if len(parts) not in (1, 3) or not all(re.fullmatch(number, part) for part in parts):
        raise UsageError(f"not a range of ratios: {show(text)}", hint)
    start, stop, step = map(float, parts if len(parts) == 3 else (text, text, "1"))
    try:
        return SnrRange(start=start, stop=stop, step=step)
    except ValidationError as cause:
        error = cause.errors()[0]
        wrong = " ".join([*map(str, error["loc"]), plain_words(error)[0]])
        raise UsageError(f"not a range of ratios: {show(text)}: {wrong}", hint) from None


class Noise(Section):
    """Noise on the input in evaluation (S-CMRL Eq. 19)."""

    snr_db: SnrRange = Field(
        default=SnrRange(), description="Ratios in dB, besides the clean point."
    )
    modality: Literal["audio", "visual", "both"] = Field(
        default="both", description="Which input gets the noise."
    )
    power: Literal["sample", "batch"] = Field(
        default="sample", description="What the signal's power is measured over."
    )
    seed: int = Field(default=0, ge=0, lt=2**31, description="Seed of the noise.")
