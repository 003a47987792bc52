"""A sweep: ordinary runs over recipes, settings and seeds, each done once, whatever interrupts."""

import itertools
import os.path
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipelines import recipe as recipes
from pipelines import stages, store
from pipelines.errors import AvsnnError, DataError, LockedError, UsageError
from pipelines.look import one_look
from pipelines.plan import run_folder
from pipelines.recipe import Recipe

MAX_RUNS = 10_000
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
OPENING, CLOSING = "[{(", "]})"


@dataclass(frozen=True)
class Point:
    """One run of a grid. recipe: as it was named. settings: overrides, without the seed."""

    recipe: str
    settings: tuple[str, ...]
    seed: int

    @property
    def overrides(self) -> tuple[str, ...]:
        """Return the settings with the seed."""
        return (*self.settings, f"seed={self.seed}")


def choices(setting: str) -> list[str]:
    """Split "a.b=1,2,3" into "a.b=1", "a.b=2", "a.b=3".

    A comma inside brackets or quotes does not split: "a=[1,2],[3,4]" is two lists. Raises
    UsageError for what has no `=`, a bracket or quote that does not close, or an empty value.
    """
    name, equals, text = setting.partition("=")
    if not equals or not name.strip():
        raise UsageError(f"--set {setting}: not of the form a.b=VALUE,VALUE", "a.b=1,2,3")
    values, depth, quote = [""], 0, ""
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        else:
            depth += (letter in OPENING) - (letter in CLOSING)
        if letter == "," and not depth and not quote:
            values.append("")
        else:
            values[-1] += letter
    if depth or quote or not all(value.strip() for value in values):
        raise UsageError(f"--set {setting}: a value is empty or does not end", "a.b=1,2,3")
    return [f"{name.strip()}={value.strip()}" for value in values]


def grid(names: Sequence[str], settings: Sequence[str], seeds: int | None) -> list[Point]:
    """List the runs: recipes x all combinations of settings x seeds; a seed after the other.

    seeds: how many, counted from the recipe's own; None takes that one alone. Raises RecipeError
    for the first combination that is no valid recipe, UsageError for too many or doubled runs.
    """
    combinations = list(itertools.product(*(choices(setting) for setting in settings)))
    count = len(names) * len(combinations) * (seeds or 1)
    if count > MAX_RUNS:
        raise UsageError(f"{count} runs, at most {MAX_RUNS}", "sweep fewer settings at once")
    firsts = {}
    for name, combination in itertools.product(names, combinations):
        loaded = recipes.load(recipes.find(name), combination, with_model=True)
        firsts[name, combination] = loaded.seed
    if len(firsts) < len(names) * len(combinations):
        raise UsageError("the sweep has a run twice", "name each recipe and each value once")
    return [
        Point(name, combination, first + number)
        for number in range(seeds or 1)
        for (name, combination), first in firsts.items()
    ]


def opened(point: Point, more: Sequence[str] = ()) -> Recipe:
    """Load the recipe of a point. more: overrides of noise or runtime."""
    return recipes.load(recipes.find(point.recipe), (*point.overrides, *more))


def name_of(points: Sequence[Point]) -> str:
    """Return what a sweep is called: its first recipe and a hash of all its points."""
    first = Path(points[0].recipe).with_suffix("").as_posix().strip("./").replace("/", "-")
    return f"{first}-{store.key({'sweep': [asdict(point) for point in points]})}"


@one_look()
def record(points: Sequence[Point], name: str | None = None) -> Path:
    """Write down which runs make up a sweep; returns the file, `sweeps/<name>.json`.

    name: None takes name_of. Raises UsageError if it cannot be a file's, or is that of other runs.
    """
    if name is not None and not NAME.fullmatch(name):
        raise UsageError(f"--name {name!r}: not a name", "letters, digits, . _ -; at most 80")
    path = store.home() / "sweeps" / f"{name or name_of(points)}.json"
    runs = [{**asdict(point), "run": run_folder(opened(point)).name} for point in points]
    if path.exists() and runs_of(str(path)) != [store.home() / "runs" / run["run"] for run in runs]:
        raise UsageError(f"--name {name}: a sweep of other runs has it", "choose another name")
    store.publish_json(path, {"runs": runs, "versions": store.versions()})
    return path


@one_look()
def run(
    points: Sequence[Point],
    more: Sequence[str],
    report: stages.Reporter,
    *,
    mirror: Path | None = None,
    noise: bool = True,
) -> list[dict[str, Any]]:
    """Train, evaluate and (with noise) sweep the noise of every point; what is done is not redone.

    A run that another process works on is left to it; one that fails is reported, and the others
    go on. Returns a row a point: run, seed, accuracy or None, and why not.
    """
    rows = []
    for number, point in enumerate(points, 1):
        recipe = opened(point, more)
        row = {"recipe": point.recipe, "settings": " ".join(point.settings), "seed": point.seed,
               "run": run_folder(recipe).name, "accuracy": None, "state": "done",
               "exit_code": 0}  # fmt: skip
        report.say(
            f"sweep: {number} of {len(points)}, {' '.join((point.recipe, *point.overrides))}"
        )
        try:
            folder = stages.train(recipe, report, mirror=mirror)
            row["accuracy"] = stages.evaluate(recipe, folder, report)["accuracy"]
            if noise:
                stages.noise_eval_where_possible(recipe, folder, recipe.noise, report)
        except LockedError as error:
            row |= {"state": "another process works on it", "exit_code": error.exit_code}
        except AvsnnError as error:
            row |= {"state": error.message, "exit_code": error.exit_code}
            report.say(f"sweep: failed: {error.message}")
        rows.append(row)
    return rows


def runs_of(name: str) -> list[Path] | None:
    """Return the runs of a sweep, given its name, its beginning or its file; None if it is none.

    Raises DataError if several sweeps begin so, and none is called so.
    """
    given = Path(name)
    stem = given.name.removesuffix(".json")
    if given.suffix == ".json" and os.path.isfile(given):  # noqa: PTH113 - never raises
        found = [given]
    else:
        known = sorted((store.home() / "sweeps").glob("*.json")) if stem else []
        found = [path for path in known if path.stem == stem] or [
            path for path in known if path.stem.startswith(stem)
        ]
    if len(found) > 1:
        stems = ", ".join(path.stem for path in found)
        raise DataError(f"several sweeps begin with {name!r}: {stems}", "name one of them")
    if not found:
        return None
    content = store.read_json(found[0])
    try:
        names = [str(entry["run"]) for entry in content["runs"]]
    except (KeyError, TypeError) as error:
        raise DataError(f"{found[0]} is not a sweep", "avsnn sweep writes it") from error
    if any(Path(run).name != run or run in ("", ".", "..") for run in names):
        raise DataError(f"{found[0]} names a run outside", "avsnn sweep writes it")
    return [store.home() / "runs" / run for run in names]
