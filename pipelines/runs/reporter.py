"""The interface through which stages report progress: to a terminal, a log, a test."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from torch import Tensor


class Reporter(Protocol):
    """Receives what a stage reports."""

    def say(self, text: str) -> None:
        """Show a line."""

    def log_to(self, path: Path) -> None:
        """Append every later line to this file too."""

    def advance(self, what: str, done: int, total: int | None) -> None:
        """Show how many of a total are done; total: None if it is not known."""

    def step(self, epoch: int, step: int, steps: int, loss: "Tensor") -> None:
        """Show a training step. loss: a scalar on the device; reading it waits for the step."""

    def epoch(self, record: dict[str, Any]) -> None:
        """Show an epoch that is done and saved."""
