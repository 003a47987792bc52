"""What there is: `avsnn ls`. Reads names and first lines; imports no torch."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from avsnn_cli.render import table
from pipelines import registry
from pipelines.disk import store
from pipelines.errors import DataError, UsageError

if TYPE_CHECKING:
    from pipelines.download.size import Amount, Size

Rows = list[dict[str, Any]]


def everything(kind: str | None) -> dict[str, Rows]:
    """List one kind of thing, or all. Raises UsageError for an unknown kind."""
    makers = {
        "datasets": datasets,
        "features": lambda: _modules("feature"),
        "models": lambda: _modules("model"),
        "recipes": recipes,
        "runs": runs,
    }
    if kind is not None and kind not in makers:
        raise UsageError(f"cannot list {kind!r}", registry.closest(kind, list(makers)))
    return {name: make() for name, make in makers.items() if kind in (None, name)}


def datasets() -> Rows:
    """List datasets with access, size and what is on disk."""
    from pipelines.download import manifest as manifests
    from pipelines.download.acquire import missing, size

    rows = []
    for name in registry.names("dataset"):
        found = manifests.load(name)
        lacking, sources = len(missing(found)), len(manifests.sources(found))
        on_disk = "all" if not sources else f"{sources - lacking} of {sources}"
        rows.append({"dataset": name, "access": found.access, "size": str(_known(size(found))),
                     "on disk": on_disk, "licence": found.licence})  # fmt: skip
    return rows


def _known(found: "Size") -> "Amount":
    """What it comes to on the disk, or else what is downloaded: the first that is known."""
    return found.kept if found.kept.bytes else found.download


def _modules(kind: str) -> Rows:
    return [{kind: name, "what": registry.summary(kind, name)} for name in registry.names(kind)]


def recipes() -> Rows:
    """List the bundled recipes with their first comment line."""
    from pipelines.recipe.recipe import bundled_names

    return [{"recipe": name, "what": _heading(name)} for name in bundled_names()]


def of_paper(kind: str | None, paper: str) -> dict[str, Rows]:
    """List the recipes of a paper by its tables; one that is in two tables stands in both.

    Raises UsageError for another kind of thing, and for a paper that no recipe names.
    """
    from pipelines.recipe.papers import by_table

    if kind not in (None, "recipes"):
        raise UsageError(f"--paper is for recipes, not for {kind}", "avsnn ls recipes --paper NAME")
    rows = [
        {"table": table, "recipe": name, "what": _heading(name)} for table, name in by_table(paper)
    ]
    return {"recipes": rows}


def _heading(name: str) -> str:
    path = registry.bundled("recipes") / f"{name}.yaml"
    first = path.read_text(encoding="utf-8").split("\n", 1)[0]
    return first.removeprefix("#").split("  ")[0].strip()


def runs() -> Rows:
    """List the runs with their state and, where evaluated, the test accuracy."""
    rows = []
    runs = store.home() / "runs"
    marks = [*runs.glob("*/recipe.yaml"), *runs.glob("*/trained.json")]
    for run in sorted({path.parent for path in marks}):
        trained, evaluated = (run / "trained.json").exists(), (run / "eval.json").exists()
        state = "evaluated" if evaluated else "trained" if trained else "not finished"
        if not (run / "recipe.yaml").exists():
            state = f"{state}, recipe.yaml is lost"
        accuracy = _accuracy(run / "eval.json") if evaluated else ""
        rows.append({"run": run.name, "state": state, "test accuracy": accuracy})
    return rows


def _accuracy(path: Path) -> str:
    from pipelines.results import run_files, schemas

    try:
        return f"{run_files.read(path, schemas.Evaluation)['accuracy']:.2%}"
    except DataError:
        return "damaged"  # one bad file does not hide the other runs


def as_text(found: dict[str, Rows]) -> str:
    """Lay out one table, or all of them, each under its name."""
    if len(found) == 1:
        return table(next(iter(found.values())))
    parts = (
        f"{name}\n{table(rows)}" if rows else f"{name}\n(none)" for name, rows in found.items()
    )
    return "\n\n".join(parts)
