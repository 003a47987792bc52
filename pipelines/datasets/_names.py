"""Files that are known by the form of their names, which say what is in them."""

import re
from pathlib import Path

from pipelines.errors import DataError


def listed(folder: Path, suffix: str, form: re.Pattern[str]) -> list[re.Match[str]]:
    """Match the stems of a folder's files of a kind, in the order of their names.

    Hidden files are none. Raises DataError naming a file whose name is of another form: what it
    holds would be a guess, and to leave it out in silence would make the data set smaller.
    """
    found = []
    for path in sorted(folder.glob(f"*{suffix}")):
        if path.name.startswith("."):
            continue
        match = form.fullmatch(path.stem)
        if match is None:
            raise DataError(
                f"{str(path)!r}: not a name of the published layout", "move away what is not its"
            )
        found.append(match)
    return found
