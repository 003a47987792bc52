"""Compare runs: one row a system, over its seeds, tested against the best and against the paper."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from pipelines.disk import store
from pipelines.errors import DataError
from pipelines.plan.plan import of_a_run
from pipelines.recipe import recipe as recipes
from pipelines.recipe.differences import differing
from pipelines.results import run_files, schemas
from pipelines.results.metrics import mcnemar_exact, mean_sd

EVALUATE = "avsnn evaluate RUN"
DOA = ("mae_deg", "below_2_5_deg", "up_to_5_deg")


class Result(NamedTuple):
    """One evaluated run. settings: by dotted path, without the seed and what no run depends on.

    noise: accuracy by level. noise_doa: the azimuth's errors by level, where there are any.
    caches: what it was trained on; files that changed since make others under the same settings.
    code: a hash of what it was trained with, "" where no record was kept.
    """

    run: str
    recipe: str
    settings: dict[str, Any]
    seed: int
    evaluation: dict[str, Any]
    noise: dict[str, float]
    published: dict[str, Any] | None
    noise_doa: Mapping[str, dict[str, float]] = MappingProxyType({})
    caches: tuple[str, ...] = ()
    code: str = ""


def read_run(run: Path) -> Result:
    """Read a run's result. Raises DataError if it was not evaluated or is not readable."""
    if not (run / "eval.json").exists():
        raise DataError(f"run {run.name} is not evaluated", EVALUATE)
    # the model's settings too: without them the rows of an ablation would fall into one
    resolved = recipes.load_recipe(run / "recipe.yaml").resolved()
    evaluation = run_files.read_result(run / "eval.json", schemas.Evaluation)
    environment = run_files.read_result(run / "env.json", schemas.Environment)
    noise: dict[str, float] = {}
    noise_doa: dict[str, dict[str, float]] = {}
    for path in sorted(run.glob("noise-*.json")):
        sweep = run_files.read_result(path, schemas.NoiseSweep)
        for point in sweep["points"]:
            if point["snr_db"] is not None:
                level = _level(sweep["noise"], point["snr_db"])
                noise[level] = point["accuracy"]
                if "doa_mae_deg" in point:
                    noise_doa[level] = {name: point[f"doa_{name}"] for name in DOA}
    for path in sorted(run.glob("event-noise-*.json")):
        sweep = run_files.read_result(path, schemas.EventNoiseSweep)
        for point in sweep["points"]:
            if point["level"] is not None:
                noise[_event_level(sweep["noise"], point["level"])] = point["accuracy"]
    settings = {k: v for k, v in of_a_run(resolved).items() if k != "seed"}
    return Result(
        run.name,
        environment["name"],
        recipes.by_path(settings),
        resolved["seed"],
        evaluation,
        noise,
        resolved.get("published"),
        noise_doa,
        tuple(environment["caches"]),
        store.key(code) if (code := environment.get("code")) else "",
    )


def compare(results: Sequence[Result]) -> list[dict[str, Any]]:
    """Return a row for each system: recipe, settings, data, code; any seed; the best first.

    accuracy: mean over seeds, sd (n - 1; None for one seed), accuracies: by seed. n: test clips.
    mcnemar_p: against the best row of the same test clips, exact, two-sided, the largest over the
    seeds that both have; None for the best itself and where nothing is shared. noise: mean and
    sd by level; doa: the same of the azimuth's errors, None without; noise_doa: those by level.
    published: the paper's accuracy, with `possible`, whether some k of n clips gives the stated
    percentage; None where the recipe has none.
    """
    groups: dict[str, list[Result]] = defaultdict(list)
    unique: dict[tuple[str, str], Result] = {}
    for result in results:
        made_of = [result.recipe, result.settings, result.caches, result.code]
        unique.setdefault((json.dumps(made_of, sort_keys=True, default=str), result.run), result)
    for (key, _), result in unique.items():
        while result.seed in (member.seed for member in groups[key]):  # trained by another version
            key += "+"
        groups[key].append(result)
    systems = [sorted(group, key=lambda r: r.seed) for group in groups.values()]
    labels = _labels(systems)
    rows = [_row(label, group) for label, group in zip(labels, systems, strict=True)]
    order = sorted(range(len(rows)), key=lambda i: (-rows[i]["accuracy"], rows[i]["system"]))
    best: dict[tuple[str, ...], int] = {}
    for i in order:
        leader = best.setdefault(_test_set(systems[i]), i)
        rows[i]["mcnemar_p"] = None if leader == i else _mcnemar(systems[leader], systems[i])
    return [rows[i] for i in order]


def is_possible(percent: float, n: int) -> bool:
    """Check whether k of n, for some k, is `percent` at the two decimals that papers give."""
    k = round(percent * n / 100)
    return any(
        round(100 * near / n, 2) == round(percent, 2)
        for near in (k - 1, k, k + 1)
        if 0 <= near <= n
    )


def _level(noise: Mapping[str, Any], snr_db: float) -> str:
    """Name a level, the same in every sweep that has it: "5 dB", "audio 5 dB", "seed 3 5 dB"."""
    marks = [] if noise["modality"] == "both" else [noise["modality"]]
    marks += ["batch-power"] if noise["power"] == "batch" else []
    marks += [f"seed {noise['seed']}"] if noise["seed"] else []
    return " ".join([*marks, f"{snr_db:g} dB"])


def _event_level(noise: Mapping[str, Any], level: float) -> str:
    """Name a level of noise on events: "drop 0.1", "visual rate 5", "seed 3 rate 5"."""
    marks = [] if noise["modality"] == "both" else [noise["modality"]]
    marks += [f"seed {noise['seed']}"] if noise["seed"] else []
    return " ".join([*marks, noise["kind"], f"{level:g}"])


def _labels(systems: Sequence[Sequence[Result]]) -> list[str]:
    """Name each system by its recipe, and by the settings in which those of its recipe differ."""
    labels = []
    for group in systems:
        own = group[0]
        same = [g[0].settings for g in systems if g[0].recipe == own.recipe]
        shown = ", ".join(f"{k}={_plain(own.settings.get(k))}" for k in differing(same))
        labels.append(f"{own.recipe} ({shown})" if shown else own.recipe)
    # the same settings on files, or with an avsnn, that are not the same: the run tells them apart
    return [
        f"{label} [{group[0].run.rpartition('-')[2]}]" if labels.count(label) > 1 else label
        for label, group in zip(labels, systems, strict=True)
    ]


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _row(label: str, group: Sequence[Result]) -> dict[str, Any]:
    first = group[0].evaluation
    mean, sd = mean_sd([result.evaluation["accuracy"] for result in group])
    levels = [name for name in group[0].noise if all(name in r.noise for r in group)]
    noise = {
        name: dict(zip(("mean", "sd"), mean_sd([r.noise[name] for r in group]), strict=True))
        for name in levels
    }
    noise_doa = {
        name: _mean_doa([r.noise_doa[name] for r in group])
        for name in levels
        if all(name in r.noise_doa for r in group)
    }
    return {
        "system": label,
        "dataset": first["dataset"],
        "protocol": first["protocol"],
        "selection": first["selection"].partition(" (")[0],
        "n": first["n"],
        "seeds": [result.seed for result in group],
        "accuracy": mean,
        "sd": sd,
        "accuracies": [result.evaluation["accuracy"] for result in group],
        "wilson": first["wilson"] if len(group) == 1 else None,
        "noise": noise,
        "doa": _doa(group),
        "noise_doa": noise_doa,
        "published": _published(group[0].published),
        "mcnemar_p": None,
        "runs": [result.run for result in group],
    }


def _doa(group: Sequence[Result]) -> dict[str, Any] | None:
    """Average the errors of the azimuth over the seeds; None if one of them has none."""
    errors = [result.evaluation.get("doa") for result in group]
    return _mean_doa([error for error in errors if error]) if all(errors) else None


def _mean_doa(errors: Sequence[Mapping[str, float]]) -> dict[str, dict[str, float | None]]:
    return {
        name: dict(zip(("mean", "sd"), mean_sd([error[name] for error in errors]), strict=True))
        for name in DOA
    }


def _published(paper: dict[str, Any] | None) -> dict[str, Any] | None:
    if paper is None:
        return None
    n, percent = paper["n"], paper["accuracy_percent"]
    return {**paper, "possible": None if n is None else is_possible(percent, n)}


def _test_set(group: Sequence[Result]) -> tuple[str, ...]:
    return tuple(sorted(group[0].evaluation.get("labels", ())))


def _mcnemar(best: Sequence[Result], group: Sequence[Result]) -> float | None:
    leaders = {result.seed: result.evaluation for result in best}
    values = [
        _p(leaders[result.seed], result.evaluation) for result in group if result.seed in leaders
    ]
    # the largest over the seeds: one lucky seed shall not make a difference
    return max((p for p in values if p is not None), default=None)


def _p(best: Mapping[str, Any], system: Mapping[str, Any]) -> float | None:
    labels = best.get("labels")
    # McNemar's test is of pairs: without the same clips there are none
    if not labels or labels != system.get("labels"):
        return None
    hits = [
        (best["predictions"][clip] == label, system["predictions"][clip] == label)
        for clip, label in labels.items()
    ]
    return mcnemar_exact(hits.count((True, False)), hits.count((False, True)))
