"""Read each clip's recording off its stem by the user's pattern, within a bounded time.

Matching a regular expression such as `(a+)+$` can take exponential time, and no thread can stop
it: the search runs in a process of its own, which can be ended.
"""

import json
import re
import subprocess
import sys
from collections.abc import Sequence

from pipelines.errors import DataError
from pipelines.recipe.messages import show

LONGEST_S = 20.0  # for all names; two million take a few seconds
SEARCH = (
    "import json, re, sys\n"
    "pattern, stems = json.load(sys.stdin)\n"
    "matches = map(re.compile(pattern).search, stems)\n"
    "json.dump([match and match[1] for match in matches], sys.stdout)\n"
)


def recordings(names: Sequence[str], pattern: str | None) -> dict[str, str]:
    """Return the recording of each clip by the clip's name; "" without a pattern.

    Raises DataError for a pattern that is not a regular expression, has no group, does not match
    a stem, or takes too long.
    """
    if pattern is None:
        return dict.fromkeys(names, "")
    _check(pattern)
    matches = _searched(pattern, [name.rpartition("/")[2] for name in names])
    for name, match in zip(names, matches, strict=True):
        if match is None:
            raise DataError(
                f"{name} does not match data.group_pattern {show(pattern)}",
                "the first group of the pattern must be the recording's name in every stem",
            )
    return dict(zip(names, matches, strict=True))


def _check(pattern: str) -> None:
    """Raise DataError for a pattern that does not compile or has no group."""
    try:
        compiled = re.compile(pattern)
    except (re.error, OverflowError, RecursionError, MemoryError) as error:
        raise DataError(
            f"data.group_pattern {show(pattern)}: {error}", "see Python's regular expressions"
        ) from error
    if compiled.groups < 1:
        raise DataError(
            f"data.group_pattern {show(pattern)} has no group", "put the recording's name in (…)"
        )


def _searched(pattern: str, stems: Sequence[str]) -> list[str]:
    """Return the first group in each stem, None where it has no part in a match.

    Raises DataError if the search takes longer than LONGEST_S or fails.
    """
    # -I -S: without the user's environment and site packages, which could change what is imported
    try:
        ended = subprocess.run(
            [sys.executable, "-I", "-S", "-W", "ignore", "-c", SEARCH],
            input=json.dumps([pattern, stems]),
            capture_output=True,
            text=True,
            check=True,
            timeout=LONGEST_S,
        )
    except subprocess.TimeoutExpired:
        raise DataError(
            f"data.group_pattern {show(pattern)} took more than {LONGEST_S:g} s for "
            f"{len(stems)} names",
            "a repeat inside a repeat takes exponential time: write the pattern without",
        ) from None
    except subprocess.CalledProcessError as error:
        # such as a MemoryError in re, which the last line names
        last = (error.stderr.strip().splitlines() or [f"exit code {error.returncode}"])[-1]
        raise DataError(
            f"data.group_pattern {show(pattern)} cannot be searched for: {last}",
            "write a simpler pattern",
        ) from None
    matches: list[str] = json.loads(ended.stdout)
    return matches
