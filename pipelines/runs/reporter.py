"""What a stage reports to: a terminal, a log, a test."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from torch import Tensor


class Reporter(Protocol):
    """Who is told what happens: a terminal, a log, a test."""

    def say(self, text: str) -> None:
        """A line for people."""

    def log_to(self, path: Path) -> None:
        """Keep what is said from now on in this file too."""

    def advance(self, what: str, done: int, total: int | None) -> None:
        """Progress of something counted."""

    def step(self, epoch: int, step: int, steps: int, loss: "Tensor") -> None:
        """One training step is done."""

    def epoch(self, record: dict[str, Any]) -> None:
        """One epoch is done and saved."""
