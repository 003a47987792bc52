"""One target of the randomised campaign: how long it runs, from which seed, and what it keeps.

Every input must end in an error of ours, or in a right result; what counts as right, each target
says. AVSNN_FUZZ_MINUTES is the length of all targets together, AVSNN_FUZZ_SEED the first seed. An
input that fails is shrunk, and kept under AVSNN_FUZZ_FAILURES with the seed that gave it.
"""

import codecs
import contextlib
import hashlib
import io
import os
import signal
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy

from avsnn_cli import main, screen
from pipelines.errors import AvsnnError

MINUTES = float(os.environ.get("AVSNN_FUZZ_MINUTES", "10"))
SEED = int(os.environ.get("AVSNN_FUZZ_SEED", "0"))
FAILURES = Path(
    os.environ.get("AVSNN_FUZZ_FAILURES", Path(tempfile.gettempdir()) / "avsnn-fuzz-failures")
)
SMOKE_EXAMPLES = 10
ROUND_EXAMPLES = 250
LONGEST_S = 60  # one input; a hang is a failure as any other

codecs.register_error(screen.ERRORS, screen._in_ascii)
# by target: inputs, and of these how many ended in an error of ours
tried: Counter[str] = Counter()
refused: Counter[str] = Counter()


class Campaign:
    """Runs one target; seconds: None for the few inputs of the ordinary suite."""

    def __init__(self, name: str, seconds: float | None) -> None:
        self.name, self.seconds = name, seconds

    def __call__(self, inputs: SearchStrategy[Any], attempt: Callable[[Any], object]) -> None:
        """Try inputs until the time is up. attempt: raises an error of ours, or all is right."""
        end = time.monotonic() + (self.seconds or 0)
        number, rounds = SEED, 0
        while not rounds or time.monotonic() < end:
            self._round(inputs, attempt, number, end)
            number, rounds = number + 1, rounds + 1

    def ends(self, ask: Callable[[], object]) -> None:
        """Ask one of several things of an input; an error of ours is an answer too."""
        with contextlib.suppress(AvsnnError):
            try:
                ask()
            except AvsnnError as error:
                _tell(error)
                raise

    def _round(
        self, inputs: SearchStrategy[Any], attempt: Callable[[Any], object], number: int, end: float
    ) -> None:
        failing: list[Any] = []

        def checked(value: Any) -> None:
            if self.seconds is not None and time.monotonic() > end and not failing:
                return
            tried[self.name] += 1
            try:
                with _no_hang(), warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    _one(self.name, value, attempt)
            except BaseException:
                failing.append(value)
                raise

        run = settings(
            max_examples=SMOKE_EXAMPLES if self.seconds is None else ROUND_EXAMPLES,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate, Phase.shrink),
        )(seed(number)(given(inputs)(checked)))
        try:
            run()
        except BaseException as error:
            if failing:
                error.add_note(f"AVSNN_FUZZ_SEED={number}; input kept: {self._keep(failing[-1])}")
            raise

    def _keep(self, value: Any) -> Path:
        content = value if isinstance(value, bytes) else ascii(value).encode()
        name = f"{self.name.replace(' ', '-')}-{hashlib.sha256(content).hexdigest()[:12]}"
        FAILURES.mkdir(parents=True, exist_ok=True)
        (FAILURES / name).write_bytes(content)
        return FAILURES / name


def _one(name: str, value: Any, attempt: Callable[[Any], object]) -> None:
    try:
        attempt(value)
    except AvsnnError as error:
        refused[name] += 1
        _tell(error)


def _tell(error: AvsnnError) -> None:
    """Print an error as the command line does, on a terminal that knows little."""
    for encoding in ("utf-8", "ascii"):
        stream = io.TextIOWrapper(io.BytesIO(), encoding, errors=screen.ERRORS)
        with contextlib.redirect_stderr(stream):
            assert main._report(error) == error.exit_code
        stream.flush()
        text = stream.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]
        assert text.strip() and not set(text) & set(map(chr, [*range(9), *range(14, 32)]))


class HangError(BaseException):
    """One input took too long; no reader takes it for damage."""


@contextlib.contextmanager
def _no_hang() -> Iterator[None]:
    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        raise HangError(f"an input took more than {LONGEST_S} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(LONGEST_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
