"""The noise levels of a noise sweep, in a recipe and on the command line."""

import math
import re
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, model_validator

from pipelines.errors import UsageError
from pipelines.recipe.messages import show
from pipelines.recipe.schema_messages import plain_words
from pipelines.recipe.settings_from_signature import Section

MAX_LEVELS = 1000
EVENT_UNITS = {"drop": "share of events dropped", "rate": "noise events (Hz per pixel)"}

Decibels = Annotated[float, Field(ge=-200, le=200)]


class SnrRange(Section):
    """Signal-to-noise ratios in dB from start to stop, both included."""

    start: Decibels = Field(default=0.0, description="First signal-to-noise ratio in dB.")
    stop: Decibels = Field(
        default=30.0, description="Last signal-to-noise ratio in dB, where the steps meet it."
    )
    step: float = Field(
        default=5.0,
        ge=0.001,
        le=400,
        description="Distance between two signal-to-noise ratios in dB.",
    )

    @model_validator(mode="after")
    def _countable(self) -> Self:
        if self.stop < self.start:
            raise ValueError(f"stop ({self.stop:g}) is below start ({self.start:g})")
        if self._count() > MAX_LEVELS:
            raise ValueError(f"{self._count()} levels; at most {MAX_LEVELS}")
        return self

    def _count(self) -> int:
        # 1e-9: 0.3 / 0.1 is a little below 3, and the last level would be lost
        return math.floor((self.stop - self.start) / self.step + 1e-9) + 1

    def levels(self) -> list[float]:
        """Return the ratios in dB, each computed from start so that no rounding adds up."""
        return [round(self.start + index * self.step, 9) for index in range(self._count())]


def parse_range(text: str) -> SnrRange:
    """Return the range that the command line has as "0:30:5" or as one level "10", in dB.

    Raises UsageError for any other text.
    """
    hint = "write start:stop:step in dB, both ends in it, such as 0:30:5, or one level"
    parts = text.split(":")
    # stricter than float(), which also takes nan, 1_000 and digits of other scripts
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
        default=SnrRange(), description="Signal-to-noise ratios in dB, besides the clean point."
    )
    modality: Literal["audio", "visual", "both"] = Field(
        default="both", description="Input that gets the noise."
    )
    power: Literal["sample", "batch"] = Field(
        default="sample",
        description="Over what the signal's power is measured: each sample, or a whole batch.",
    )
    seed: int = Field(
        default=0, ge=0, lt=2**31, description="Seed of the noise, beside each clip's own."
    )


class EventNoise(Section):
    """Noise on recordings of events in evaluation; levels from start to stop, both included."""

    kind: Literal["drop", "rate"] = Field(
        description="Kind of noise: drop loses a share of the events, rate adds events at random."
    )
    start: float = Field(ge=0, le=1e6, description="First level.")
    stop: float = Field(ge=0, le=1e6, description="Last level, where the steps meet it.")
    step: float = Field(ge=1e-6, le=1e6, description="Distance between two levels.")
    modality: Literal["audio", "visual", "both"] = Field(
        default="both", description="Input that gets the noise, where it is made of events."
    )
    seed: int = Field(
        default=0, ge=0, lt=2**31, description="Seed of the noise, beside each clip's own."
    )

    @property
    def unit(self) -> str:
        """The unit of a level, for tables and axes."""
        return EVENT_UNITS[self.kind]

    @model_validator(mode="after")
    def _countable(self) -> Self:
        if self.stop < self.start:
            raise ValueError(f"stop ({self.stop:g}) is below start ({self.start:g})")
        if self.kind == "drop" and self.stop > 1:
            raise ValueError(f"stop ({self.stop:g}) is above 1: it is a share")
        if self._count() > MAX_LEVELS:
            raise ValueError(f"{self._count()} levels; at most {MAX_LEVELS}")
        return self

    def _count(self) -> int:
        return math.floor((self.stop - self.start) / self.step + 1e-9) + 1

    def levels(self) -> list[float]:
        """Return the levels, each computed from start so that no rounding adds up."""
        return [round(self.start + index * self.step, 9) for index in range(self._count())]


def parse_event_noise(text: str, modality: str | None = None) -> EventNoise:
    """Return the event noise that the command line has as "drop:0:0.9:0.1" or one level "rate:5".

    Raises UsageError for any other text.
    """
    hint = (
        "write drop:start:stop:step in shares of the events, such as drop:0:0.9:0.1, or "
        "rate:start:stop:step in noise events a pixel and second, such as rate:0:20:5; or one level"
    )
    kind, *parts = text.split(":")
    number = r"[0-9]+(\.[0-9]*)?|\.[0-9]+"
    if (
        kind not in ("drop", "rate")
        or len(parts) not in (1, 3)
        or not all(re.fullmatch(number, part) for part in parts)
    ):
        raise UsageError(f"not a noise of events: {show(text)}", hint)
    start, stop, step = parts if len(parts) == 3 else (parts[0], parts[0], "1")
    try:
        return EventNoise.model_validate(
            {
                "kind": kind,
                "start": float(start),
                "stop": float(stop),
                "step": float(step),
                "modality": modality or "both",
            }
        )
    except ValidationError as cause:
        error = cause.errors()[0]
        wrong = " ".join([*map(str, error["loc"]), plain_words(error)[0]])
        raise UsageError(f"not a noise of events: {show(text)}: {wrong}", hint) from None
