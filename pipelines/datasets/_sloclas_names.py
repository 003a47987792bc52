"""What a file of SLoClas holds, read off its name: class, azimuth, and the dry sound played."""

import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

CLASSES = (
    "bells",
    "bottles",
    "buzzer",
    "cymbals",
    "horn",
    "metal",
    "particle",
    "phone",
    "ring",
    "whistle",
)
NOISES = {"noise", "crowd", "machine", "traffic", "car", "animal", "water", "wind"}
ANGLES = {"doa", "deg", "degree", "degrees", "azi", "azimuth", "angle", "theta"}
FILLING = {"and", "noises"}
DIGITS = 3  # of an azimuth

# the dry sounds are RWCP's, whose names are cut to eight letters and numbered: particl2, bell5
SPELT = {
    spelling: label
    for label, name in enumerate(CLASSES)
    for spelling in (name, name.removesuffix("s"), name.removesuffix("s") + "s")
} | {"particl": CLASSES.index("particle")}
TOKEN = re.compile("[0-9]+|[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[^A-Za-z0-9]+")

Tokens = Sequence[str]


class Azimuth(NamedTuple):
    """An azimuth, whether a word says so, and the path without it: the dry sound's name."""

    degrees: int
    is_marked: bool
    sound: str


class InDoubtError(Exception):
    """A name that can be read in two ways."""


def described(path: str) -> tuple[int, float] | None:
    """Read a file's class and azimuth in degrees off its path in the data set, or None.

    Class: a class's name, singular or plural, as a word of the file's name, else of the folder
    next above; a digit behind it is the class's own. Azimuth: a number from 0 to 360 right after
    or before a word for an angle, after wins; else a folder that is only a number, or the only
    number that stands alone in the file's name. What could be read in two ways is None.
    """
    label, found = _label(path), azimuth(path)
    if label is None or found is None or _says_noise(path):
        return None
    return label, float(found.degrees)


def azimuth(path: str) -> Azimuth | None:
    """Read a file's azimuth off its path, or None where there is none or it is in doubt."""
    parts = _parts(path)
    try:
        found = [_marked(part) for part in parts]
        values = {value for of_part in found for value in of_part.values()}
        is_marked = bool(values)
        if not is_marked:
            found = _bare(parts)
            values = {value for of_part in found for value in of_part.values()}
    except InDoubtError:
        return None
    if len(values) != 1 or max(values) > 360:
        return None
    left = (
        "_".join(
            token
            for i, token in enumerate(part)
            if i not in used and token.isalnum() and token.lower() not in ANGLES
        )
        for part, used in zip(parts, found, strict=True)
    )
    return Azimuth(values.pop() % 360, is_marked, "/".join(part for part in left if part).lower())


def is_noise(path: str) -> bool:
    """Tell whether a file is one of the noise recordings, which have no class."""
    return _says_noise(path) and _label(path) is None


def _says_noise(path: str) -> bool:
    *folders, name = ({token.lower() for token in part if token.isalpha()} for part in _parts(path))
    return bool(name & NOISES) or any(
        words & NOISES and words <= NOISES | ANGLES | FILLING for words in folders
    )


def _parts(path: str) -> list[Tokens]:
    """Split a path into the words, numbers and separators of its folders and its file's stem."""
    written = PurePosixPath(path).with_suffix("").parts
    # what is not ASCII is neither a letter nor a digit here
    plain = (part.encode("ascii", "replace").decode() for part in written)
    return [TOKEN.findall(re.sub("DoA|DOA", "Doa", part)) for part in plain]


def _label(path: str) -> int | None:
    """Return the one class that the innermost part of a path names, or None."""
    for part in reversed(_parts(path)):
        labels = {SPELT[token.lower()] for token in part if token.lower() in SPELT}
        if labels:
            return labels.pop() if len(labels) == 1 else None
    return None


def _marked(part: Tokens) -> dict[int, int]:
    """Find the numbers beside words for an angle, by place. Raises InDoubtError."""
    found: dict[int, int] = {}
    for place, token in enumerate(part):
        if token.lower() not in ANGLES:
            continue
        before, after = _beside(part, place, -1), _beside(part, place, 1)
        if before is not None and before in found:
            if before == place - 1 and after != place + 1:  # doa45deg: its unit
                continue
            before = None  # doa45_doa90
        if before is not None and _is_word(part, before - 1):
            if before == place - 1:  # ring45deg
                raise InDoubtError
            before = None  # bottle1_doa: the class's own
        if before == place - 1 and after is not None and after > place + 1:  # 45deg_003
            raise InDoubtError
        chosen = before if after is None else after
        if chosen is not None:
            found[chosen] = _number(part, chosen)
    return found


def _bare(parts: Sequence[Tokens]) -> list[dict[int, int]]:
    """Find the numbers that may be azimuths though no word says so. Raises InDoubtError."""
    *folders, name = parts
    found = [
        {0: int(part[0])} if len(part) == 1 and part[0].isdigit() and len(part[0]) <= DIGITS else {}
        for part in folders
    ]
    # a number beside another word is that word's: take_3, 16_khz
    alone = [
        place
        for place in _standing_alone(name)
        if not any(_word_beside(name, place, step) for step in (-1, 1))
    ]
    if not any(found) and len(alone) > 1:
        raise InDoubtError
    return [*found, {place: _number(name, place) for place in alone if len(name[place]) <= DIGITS}]


def _standing_alone(part: Tokens) -> Iterator[int]:
    for place, token in enumerate(part):
        if token.isdigit() and not (_is_word(part, place - 1) or _is_word(part, place + 1)):
            yield place


def _word_beside(part: Tokens, place: int, step: int) -> bool:
    """Tell whether the next token beyond a separator is a word, and no class's."""
    there = place + 2 * step
    return _is_word(part, there) and part[there].lower() not in SPELT


def _beside(part: Tokens, place: int, step: int) -> int | None:
    """Find the number next to a word, at most a separator away."""
    for there in (place + step, place + 2 * step):
        if 0 <= there < len(part) and part[there].isdigit():
            return there
        if not 0 <= there < len(part) or part[there].isalnum():
            return None
    return None


def _number(part: Tokens, place: int) -> int:
    """Read a number. Raises InDoubtError if it has a sign, a fraction or more than 3 digits."""
    gaps = [token for token in part if not token.isalnum()]
    gap = part[place - 1] if place and not part[place - 1].isalnum() else ""
    # doa-45, doa_-45: a minus, unless all of the name is hyphenated
    is_signed = gap not in ("", " ", "_", "=", "-") or (
        gap == "-" and (place == 1 or set(gaps) != {"-"} or len(gaps) == 1)
    )
    follows = [token.lower() for token in part[place + 1 : place + 3]]
    is_fraction = len(follows) == 2 and follows[0] in (".", ",", "p") and follows[1].isdigit()
    if is_signed or is_fraction or len(part[place]) > DIGITS:
        raise InDoubtError
    return int(part[place])


def _is_word(part: Tokens, place: int) -> bool:
    return 0 <= place < len(part) and part[place].isalpha()
