"""List the clips in the user's class folders, each with the reason if it cannot be used."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from pipelines.clips.walk import LEADS_OUT, files_below, leads_out, printable, visible
from pipelines.datasets._folder_splits import split_folders, split_of
from pipelines.errors import DataError

SOUNDS = {".wav", ".flac", ".ogg", ".mp3", ".aiff", ".aif"}
PICTURES = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}
VIDEOS = {".mp4", ".mkv", ".avi", ".mov", ".flv", ".mpg", ".mpeg", ".webm"}
PARTS = {
    "audio": SOUNDS,
    "sound": SOUNDS,
    "visual": PICTURES | VIDEOS,
    "vision": PICTURES | VIDEOS,
    "images": PICTURES,
    "video": VIDEOS,
}
MAX_FILES = 2_000_000
SHOWN = 5


class Entry(NamedTuple):
    """One clip: paths relative to the folder, "" where a modality is absent.

    fault: why the clip cannot be used, or "".
    """

    name: str
    label: str
    audio: str
    visual: str
    split: str = ""
    group: str = ""
    speaker: str = ""
    azimuth_deg: float | None = None
    fault: str = ""


def entries(root: Path) -> tuple[list[Entry], Counter[str]]:
    """Return the clips of class folders, and the number of files of each kind that is not read.

    Layouts: <class>/<stem>.<ext>, under train/, validation/ and test/ (or other names of splits,
    see _folder_splits) or not, and in two trees audio/ (or sound/) and visual/ (or vision/,
    images/, video/) or not. Files of one stem in one class are one clip; a video is its own sound
    and picture. Raises DataError for what makes no data set.
    """
    root = root.absolute()  # every clip's name is a path below it
    clips: list[Entry] = []
    unknown: Counter[str] = Counter()
    for split, base in _split_folders(root):
        of_split, not_read = _clips(root, base, split)
        clips += of_split
        unknown += not_read
    if not clips:
        raise DataError(
            f"{root} holds no class folders with sounds, images or videos",
            "one folder a class, such as dog/1.wav and dog/1.jpg; docs/datasets/folder.md",
        )
    return clips, unknown


def _split_folders(root: Path) -> list[tuple[str, Path]]:
    splits = _splits_in(root)
    # audio/train/dog would be read as a class train: stop, for that is seldom meant
    if not splits:
        for tree in _trees(root).keys() - {root}:
            if below := _splits_in(tree):
                raise DataError(
                    f"{tree}: {', '.join(below)} lie below {tree.name}",
                    f"put the splits above, such as {next(iter(below))}/{tree.name}/…",
                )
    return [(split, root / name) for name, split in splits.items()] or [("", root)]


def _splits_in(base: Path) -> dict[str, str]:
    """Return the folders of a folder that are splits, each with its split."""
    folders = [path for path in visible(base) if path.is_dir()]
    named = [folder for folder in folders if split_of(folder.name)]
    flat = [folder.name for folder in named if _holds_files_alone(folder)]
    return split_folders(base, [folder.name for folder in folders], flat)


def _holds_files_alone(folder: Path) -> bool:
    """Return whether a folder holds sounds, images or videos and no folder."""
    inside = list(visible(folder))
    kinds = SOUNDS | PICTURES | VIDEOS
    return not any(p.is_dir() for p in inside) and any(p.suffix.lower() in kinds for p in inside)


def _trees(base: Path) -> dict[Path, set[str]]:
    """Return the folders that hold the class folders, with the suffixes of files read there."""
    names = {path.name for path in visible(base) if path.is_dir()}
    # only if all folders are trees: a class may be called video or sound
    if names and names <= set(PARTS):
        return {base / name: PARTS[name] for name in sorted(names)}
    return {base: SOUNDS | PICTURES | VIDEOS}


def _clips(root: Path, base: Path, split: str) -> tuple[list[Entry], Counter[str]]:
    """Return the clips of one split's folder, and the number of files not read by kind."""
    # (class, stem) to the paths of each kind
    files: dict[tuple[str, str], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    faults: dict[tuple[str, str], str] = {}
    unknown: Counter[str] = Counter()
    count = 0
    for tree, kinds in _trees(base).items():
        if leads_out(tree, root):
            raise DataError(
                f"{tree} {LEADS_OUT}", "set data.path to a folder that holds the files themselves"
            )
        beside = sum(p.suffix.lower() in kinds for p in visible(tree) if not p.is_dir())
        unknown += Counter({"beside the class folders": beside})
        for folder in sorted(path for path in visible(tree) if path.is_dir()):
            n_read, label = 0, printable(folder.name)
            for path, fault in files_below(folder, root):
                count += 1
                # a folder of the user's may be a whole disk by mistake
                if count > MAX_FILES:
                    raise DataError(f"{root} holds more than {MAX_FILES} files", "split the set")
                suffix, is_folder = path.suffix.lower(), bool(fault) and path.is_dir()
                if suffix not in kinds and not is_folder:
                    unknown[printable(suffix) or "no ending"] += 1
                    continue
                n_read += 1
                name = str(path)
                # a folder that cannot be used is one excluded clip, named dog/more/
                below = f"{name}/" if is_folder else name.removesuffix(path.suffix)
                clip = label, printable(below[len(str(folder)) + 1 :])
                if not is_folder:
                    kind = (
                        "audio" if suffix in SOUNDS else "image" if suffix in PICTURES else "video"
                    )
                    files[clip][kind].append(printable(name[len(str(root)) + 1 :]))
                if fault:
                    faults[clip] = fault
            if not n_read:
                raise DataError(
                    f"{folder} holds no sound, image or video", "remove the folder or fill it"
                )
    prefix = f"{split}/" if split else ""
    kinds_there = {kind for kinds in files.values() for kind in kinds}
    return [
        _entry(
            f"{prefix}{label}/{stem}",
            label,
            split,
            files.get((label, stem), {}),
            kinds_there,
            faults.get((label, stem), ""),
        )
        for label, stem in sorted(files.keys() | faults.keys())
    ], unknown


def _entry(
    name: str, label: str, split: str, kinds: Mapping[str, list[str]], there: set[str], fault: str
) -> Entry:
    """Return the clip of the files of one stem. there: the kinds of files in the whole set."""
    rivals = [path for paths in kinds.values() if len(paths) > 1 for path in paths]
    if rivals:
        fault = f"has several files of one kind: {', '.join(rivals[:SHOWN])}"
    elif "video" in kinds and len(kinds) > 1:
        fault = "has a video and other files: keep the one that is meant"
    film = kinds.get("video", [""])[0]
    sound, picture = kinds.get("audio", [""])[0] or film, kinds.get("image", [""])[0] or film
    # where all clips are sound alone, or image alone, a clip lacks nothing
    paired = {"audio", "image"} <= there or "video" in there
    if paired and not fault and not (sound and picture):
        fault = f"has no {'image' if sound else 'sound'} of its name"
    return Entry(name, label, sound, picture, split, fault=fault)
