"""Read class, azimuth and dry sound of a SLoClas file off its name."""

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
FILLERS = {"and", "noises"}
DIGITS = 3  # of an azimuth

# the dry sounds are RWCP's, whose names are cut to eight letters and numbered: particl2, bell5
SPELT = {
    spelling: label
    for label, name in enumerate(CLASSES)
    for spelling in (name, name.removesuffix("s"), name.removesuffix("s") + "s")
} | {"particl": CLASSES.index("particle")}
# a number, a word (split at a capital: DogBark), or what separates them
TOKEN = re.compile("[0-9]+|[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[^A-Za-z0-9]+")

Tokens = Sequence[str]


class Azimuth(NamedTuple):
    """An azimuth, whether a word marks it, and the rest of the path: the dry sound's name."""

    degrees: int
    is_marked: bool
    sound: str


class InDoubtError(Exception):
    """A name that can be read in two ways."""


def described(path: str) -> tuple[int, float] | None:
    """Read a file's class and azimuth in degrees off its path in the data set, or None.

    Class: a class's name, singular or plural, as a word of the file's name, else of the folder
    next above; a digit behind it is the class's own. Azimuth: a number from 0 to 360 right after
    or before a word for an angle, where the one after wins; else a folder that is only a number, or
    the only number that stands alone in the file's name. A name that can be read in two ways gives
    None.
    """
    label, angle = _label(path), azimuth(path)
    if label is None or angle is None or _names_noise(path):
        return None
    return label, float(angle.degrees)


def azimuth(path: str) -> Azimuth | None:
    """Read a file's azimuth off its path; None if there is none or it can be read in two ways."""
    parts = _parts(path)
    try:
        numbers = [_marked(part) for part in parts]
        values = {value for in_part in numbers for value in in_part.values()}
        # numbers that no word marks count only if no number is marked
        is_marked = bool(values)
        if not is_marked:
            numbers = _bare(parts)
            values = {value for in_part in numbers for value in in_part.values()}
    except InDoubtError:
        return None
    # the same azimuth in folder and file name is no doubt, two azimuths are
    if len(values) != 1 or max(values) > 360:
        return None
    left = (
        "_".join(
            token
            for i, token in enumerate(part)
            if i not in used and token.isalnum() and token.lower() not in ANGLES
        )
        for part, used in zip(parts, numbers, strict=True)
    )
    return Azimuth(values.pop() % 360, is_marked, "/".join(part for part in left if part).lower())


def is_noise(path: str) -> bool:
    """Return whether a file is one of the noise recordings, which have no class."""
    return _names_noise(path) and _label(path) is None


def _names_noise(path: str) -> bool:
    """Return whether the file's name, or a folder named only after noises, has a word for noise."""
    # a folder such as "bells in noise" is not one of noise recordings
    *folders, name = ({token.lower() for token in part if token.isalpha()} for part in _parts(path))
    return bool(name & NOISES) or any(
        words & NOISES and words <= NOISES | ANGLES | FILLERS for words in folders
    )


def _parts(path: str) -> list[Tokens]:
    """Split a path into the words, numbers and separators of its folders and its file's stem."""
    written = PurePosixPath(path).with_suffix("").parts
    # what is not ASCII is neither a letter nor a digit here
    ascii_parts = (part.encode("ascii", "replace").decode() for part in written)
    # DoA would be split at its second capital
    return [TOKEN.findall(re.sub("DoA|DOA", "Doa", part)) for part in ascii_parts]


def _label(path: str) -> int | None:
    """Return the one class that the innermost part of a path names, or None."""
    for part in reversed(_parts(path)):
        labels = {SPELT[token.lower()] for token in part if token.lower() in SPELT}
        if labels:
            return labels.pop() if len(labels) == 1 else None
    return None


def _marked(part: Tokens) -> dict[int, int]:
    """Return the numbers beside words for an angle, by place. Raises InDoubtError."""
    numbers: dict[int, int] = {}
    for place, token in enumerate(part):
        if token.lower() not in ANGLES:
            continue
        before, after = _beside(part, place, -1), _beside(part, place, 1)
        if before is not None and before in numbers:
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
            numbers[chosen] = _number(part, chosen)
    return numbers


def _bare(parts: Sequence[Tokens]) -> list[dict[int, int]]:
    """Return by part and place the numbers that may be azimuths without a word that marks them.

    Raises InDoubtError if several numbers of the file's name may be.
    """
    *folders, name = parts
    in_folders = [
        {0: int(part[0])} if len(part) == 1 and part[0].isdigit() and len(part[0]) <= DIGITS else {}
        for part in folders
    ]
    # a number beside another word is that word's: take_3, 16_khz
    alone = [
        place
        for place in _standing_alone(name)
        if not any(_word_beside(name, place, step) for step in (-1, 1))
    ]
    if not any(in_folders) and len(alone) > 1:
        raise InDoubtError
    return [
        *in_folders,
        {place: _number(name, place) for place in alone if len(name[place]) <= DIGITS},
    ]


def _standing_alone(part: Tokens) -> Iterator[int]:
    """Iterate over the places of numbers that touch no word, as the 5 of bell5 does."""
    for place, token in enumerate(part):
        if token.isdigit() and not (_is_word(part, place - 1) or _is_word(part, place + 1)):
            yield place


def _word_beside(part: Tokens, place: int, step: int) -> bool:
    """Return whether the next token beyond a separator is a word, but not a class's name."""
    there = place + 2 * step
    return _is_word(part, there) and part[there].lower() not in SPELT


def _beside(part: Tokens, place: int, step: int) -> int | None:
    """Return the place of the number next to a word, at most a separator away, or None."""
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
    # doa-45, doa_-45: a minus sign, unless all separators of the name are hyphens
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
