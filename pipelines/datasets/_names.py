"""List files whose names, of one published form, describe what is in them."""

import re
from pathlib import Path

from pipelines.errors import DataError


def listed(folder: Path, suffix: str, form: re.Pattern[str]) -> list[re.Match[str]]:
    """Return the matches of the stems of a folder's files with a suffix, in order of name.

    Hidden files are skipped. Raises DataError naming a file whose name is of another form.
    """
    matches = []
    for path in sorted(folder.glob(f"*{suffix}")):
        if path.name.startswith("."):
            continue
        match = form.fullmatch(path.stem)
        # what it holds would be a guess, and without it the data set would be smaller unnoticed
        if match is None:
            raise DataError(
                f"{str(path)!r}: not a name of the published layout",
                "move the file out of the folder",
            )
        matches.append(match)
    return matches
