"""Sweeps: a grid of ordinary runs over recipes, settings and seeds, each run done once."""

import itertools
import re
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipelines.disk import store
from pipelines.disk.look import one_look
from pipelines.disk.paths import expanded, is_file
from pipelines.errors import AvsnnError, DataError, LockedError, UsageError
from pipelines.plan.plan import run_folder
from pipelines.recipe import recipe as recipes
from pipelines.recipe.recipe import Recipe
from pipelines.runs import result_stages, train_stage
from pipelines.runs.reporter import Reporter

MAX_RUNS = 10_000
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
OPENING, CLOSING = "[{(", "]})"
LONGEST = 100  # characters of a recipe's path in a name: a file's has at most 255 bytes
WAITING_S = 2.0  # between two tries to lock a run that another process works on


@dataclass(frozen=True)
class Point:
    """One run of a grid. recipe: its name or path. settings: overrides, without the seed."""

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
    """Return recipes x all combinations of settings x seeds, all runs of one seed before the next.

    seeds: number of seeds, starting at the recipe's; None for that one alone. Raises RecipeError
    for the first combination that is no valid recipe, UsageError for too many or equal runs.
    """
    combinations = list(itertools.product(*(choices(setting) for setting in settings)))
    count = len(names) * len(combinations) * (seeds or 1)
    if count > MAX_RUNS:
        raise UsageError(f"{count} runs, at most {MAX_RUNS}", "sweep fewer settings at once")
    # every combination is checked before the first is trained: an error in the last of them would
    # come after days
    firsts = {}
    for name, combination in itertools.product(names, combinations):
        loaded = recipes.load_recipe(recipes.find(name), combination, with_model=True)
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
    return recipes.load_recipe(recipes.find(point.recipe), (*point.overrides, *more))


def name_of(points: Sequence[Point]) -> str:
    """Return the default name of a sweep: its first recipe and a hash of all its points."""
    first = Path(points[0].recipe).with_suffix("").as_posix().strip("./").replace("/", "-")
    first = first[-LONGEST:].strip("./")
    return f"{first}-{store.key({'sweep': [asdict(point) for point in points]})}"


def place(points: Sequence[Point], name: str | None = None) -> Path:
    """Return the file of a sweep, `sweeps/<name>.json`. name: None for name_of(points).

    Raises UsageError if the name is no valid one, or that of a sweep with other points.
    """
    if name is not None and not NAME.fullmatch(name):
        raise UsageError(f"--name {name!r}: not a name", "letters, digits, . _ -; at most 80")
    path = store.home() / "sweeps" / f"{name or name_of(points)}.json"
    if path.exists() and _points(path) != list(points):
        raise UsageError(f"--name {name}: a sweep of other runs has it", "choose another name")
    return path


@one_look()
def record(
    points: Sequence[Point], name: str | None = None, runs: Sequence[str] | None = None
) -> Path:
    """Write the file that lists the runs of a sweep; returns its path. name: see place.

    runs: the name of each point's run; None computes them. A sweep is defined by its points: if the
    data have changed, the same points are other runs, and the file lists those.
    """
    path = place(points, name)
    runs = runs or [run_folder(opened(point)).name for point in points]
    rows = [{**asdict(point), "run": run} for point, run in zip(points, runs, strict=True)]
    store.publish_json(path, {"runs": rows, "versions": store.versions()})
    return path


def _points(path: Path) -> list[Point]:
    """Read the points of a sweep's file. Raises DataError if it is not one."""
    try:
        return [
            Point(row["recipe"], tuple(row["settings"]), row["seed"])
            for row in store.read_json(path)["runs"]
        ]
    except (KeyError, TypeError) as error:
        raise DataError(f"{path} is not a sweep", "remove it; avsnn sweep writes it") from error


@one_look()
def run(
    points: Sequence[Point],
    more: Sequence[str],
    report: Reporter,
    *,
    mirror: Path | None = None,
    noise: bool = True,
) -> list[dict[str, Any]]:
    """Train, evaluate and, with noise, sweep the noise of every point, where not done before.

    A run that another process works on is left for the end and waited for. The error of a run is
    reported, and the others go on. Returns a row for each point: run, accuracy or
    None, state or error, exit code.
    """
    rows: dict[Point, dict[str, Any]] = {}
    waiting: list[Point] = []
    for number, point in enumerate(points, 1):
        report.say(
            f"sweep: {number} of {len(points)}, {' '.join((point.recipe, *point.overrides))}"
        )
        try:
            rows[point] = _run(point, more, report, mirror, noise)
        except LockedError:
            waiting.append(point)
    for point in waiting:
        is_reported = False
        while point not in rows:
            try:
                rows[point] = _run(point, more, report, mirror, noise)
            except LockedError as error:
                if not is_reported:
                    report.say(f"sweep: waiting, {error.message}")
                is_reported = True
                time.sleep(WAITING_S)
    return [rows[point] for point in points]


def _run(
    point: Point, more: Sequence[str], report: Reporter, mirror: Path | None, noise: bool
) -> dict[str, Any]:
    """Do the stages of a point that are missing; returns its row. Raises LockedError."""
    row: dict[str, Any] = {"run": "", "accuracy": None, "state": "done", "exit_code": 0}
    try:
        recipe = opened(point, more)
        row["run"] = run_folder(recipe).name
        folder = train_stage.train(recipe, report, mirror=mirror)
        row["run"] = folder.name  # another key if files were downloaded meanwhile
        row["accuracy"] = result_stages.evaluate(recipe, folder, report)["accuracy"]
        if noise:
            result_stages.noise_eval_where_possible(recipe, folder, recipe.noise, report)
    except LockedError:  # for the caller, who waits
        raise
    except AvsnnError as error:
        row |= {"state": error.message, "exit_code": error.exit_code}
        report.say(f"sweep: failed: {error.message}")
    return row


def runs_of(name: str) -> list[Path] | None:
    """Return the runs of a sweep by its name, the beginning of its name or its file.

    Returns None if there is no such sweep. Raises DataError if several names begin so and none is
    the whole name.
    """
    file = expanded(name)
    stem = file.name.removesuffix(".json")
    if file.suffix == ".json" and is_file(file):
        matches = [file]
    else:
        known = sorted((store.home() / "sweeps").glob("*.json")) if stem else []
        matches = [path for path in known if path.stem == stem] or [
            path for path in known if path.stem.startswith(stem)
        ]
    if len(matches) > 1:
        stems = ", ".join(path.stem for path in matches)
        raise DataError(f"several sweeps begin with {name!r}: {stems}", "name one of them")
    if not matches:
        return None
    sweep_file = matches[0]
    content = store.read_json(sweep_file)
    try:
        names = [str(entry["run"]) for entry in content["runs"]]
    except (KeyError, TypeError) as error:
        raise DataError(f"{sweep_file} is not a sweep", "avsnn sweep writes it") from error
    # a sweep's file may come from elsewhere: "../x" would lead out of the home
    if any(Path(run).name != run or run in ("", ".", "..") for run in names):
        raise DataError(f"{sweep_file} names a run outside", "avsnn sweep writes it")
    return [store.home() / "runs" / run for run in names]
