"""Results of a run: damage is refused, or what is shown is what was written."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from avsnn_cli import listing, tables
from pipelines.errors import AvsnnError
from pipelines.plan.plan import check_same_data
from pipelines.reports import compare, report_runs
from pipelines.reports.run_plots import draw_run_training
from pipelines.results import run_files, schemas
from pipelines.runs import status
from pipelines.runs.open_run import open_run
from tests.fuzz.campaign import Campaign
from tests.fuzz.mutations import changed, damaged, damaged_json, damaged_lines, lines
from tests.fuzz.prepared import Prepared
from tests.fuzz.test_manifests import forge

KINDS = {
    "env.json": schemas.Environment,
    "trained.json": schemas.Trained,
    "eval.json": schemas.Evaluation,
    "noise-both.json": schemas.NoiseSweep,
    "energy.json": schemas.Energy,
}

LOST = object()


def shown_of(prepared: Prepared) -> tuple[Any, ...]:
    """Ask what the verbs show of a run, and lay it out."""
    run = prepared.run
    _, folder = open_run(run.name)
    check_same_data(folder, prepared.plan)
    reads = {name: run_files.read_result(run / name, kind) for name, kind in KINDS.items()}
    read = compare.read_run(run)
    shown = [
        tables.accuracy_table(reads["eval.json"]),
        tables.noise_table(reads["noise-both.json"]),
        tables.energy_table(reads["energy.json"]),
        *report_runs.made_with(run, read),
        *report_runs._energy(reads["energy.json"]),
    ]
    return reads, read, compare.compare([read]), shown


def asked(prepared: Prepared) -> None:
    """Ask what shows a damaged file as a line among others."""
    for row in listing.runs():
        assert row["run"] == prepared.run.name
    status.status(prepared.recipe, prepared.run)


def restore(prepared: Prepared, whole: dict[str, bytes]) -> None:
    for name, content in whole.items():
        (prepared.run / name).write_bytes(content)


def test_results(campaign: Campaign, prepared: Prepared) -> None:
    whole = {name: (prepared.run / name).read_bytes() for name in KINDS}
    right = shown_of(prepared)
    bad_ones = [st.tuples(st.just(n), damaged_json(json.loads(c))) for n, c in whole.items()]

    def attempt(bad: tuple[str, bytes]) -> None:
        restore(prepared, whole)
        (prepared.run / bad[0]).write_bytes(bad[1])
        asked(prepared)
        assert shown_of(prepared) == right

    campaign(st.one_of(*bad_ones), attempt)


def test_results_sealed_anew(campaign: Campaign, prepared: Prepared) -> None:
    whole = {name: (prepared.run / name).read_bytes() for name in KINDS}
    bad_ones = [st.tuples(st.just(n), changed(json.loads(c))) for n, c in whole.items()]

    def attempt(bad: tuple[str, object]) -> None:
        restore(prepared, whole)
        forge_chain(prepared.run, *bad)
        asked(prepared)
        shown_of(prepared)

    campaign(st.one_of(*bad_ones), attempt)


def test_each_field_that_is_lost_or_of_another_type_is_named_or_not_shown(
    prepared: Prepared,
) -> None:
    whole = {name: (prepared.run / name).read_bytes() for name in KINDS}
    for name, content in whole.items():
        for place in places(json.loads(content)):
            for bad in (LOST, None, "x"):
                restore(prepared, whole)
                forge_chain(prepared.run, name, without(json.loads(content), place, bad))
                asked(prepared)
                with contextlib.suppress(AvsnnError):
                    shown_of(prepared)


def places(content: Any) -> Iterator[tuple[str | int, ...]]:
    """List the paths of all fields; of a list, and of a mapping by clip or file, the first's."""
    inside = list(content.items()) if isinstance(content, dict) else []
    if len(inside) > 4 and len({type(value) for _, value in inside}) == 1:
        inside = inside[:1]
    if isinstance(content, list) and content:
        inside = [(0, content[0])]
    for key, value in inside:
        yield (key,)
        yield from ((key, *rest) for rest in places(value))


def without(content: Any, place: tuple[str | int, ...], bad: Any) -> Any:
    """Return a content with one field taken away, or with something else in its place."""
    part = content
    for key in place[:-1]:
        part = part[key]
    if bad is LOST:
        del part[place[-1]]
    else:
        part[place[-1]] = bad
    return content


def forge_chain(run: Path, name: str, content: object) -> None:
    """Seal a file anew, and all that was made with it."""
    forge(run / name, content)
    sealed = json.loads((run / name).read_bytes())
    if not isinstance(sealed, dict) or not isinstance(sealed.get("seal"), str):
        return
    for other in KINDS:
        later = json.loads((run / other).read_bytes())
        if other != name and name in KINDS[other].MADE_WITH and name in later["made_with"]:
            later["made_with"][name] = sealed["seal"]
            forge_chain(run, other, later)


def test_recipes_of_a_run(campaign: Campaign, prepared: Prepared) -> None:
    path = prepared.run / "recipe.yaml"
    content = path.read_bytes()
    right = shown_of(prepared)

    def attempt(bad: bytes) -> None:
        path.write_bytes(bad)
        asked(prepared)
        assert shown_of(prepared) == right

    campaign(damaged(content) | lines(content), attempt)


def test_the_course_of_training(campaign: Campaign, prepared: Prepared, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in (prepared.run / "metrics.jsonl").read_text().splitlines()]
    trained = json.loads((prepared.run / "trained.json").read_bytes())
    for name in ("seal", "made_with", "metrics_sha256"):  # a run of before has none of them
        del trained[name]
    (tmp_path / "trained.json").write_text(json.dumps(trained))

    def attempt(bad: bytes) -> None:
        (tmp_path / "metrics.jsonl").write_bytes(bad)
        draw_run_training(tmp_path)

    campaign(damaged_lines(rows), attempt)
