"""`avsnn ls`: what exists, read from names and first lines alone; imports no torch."""

from pathlib import Path
from typing import TYPE_CHECKING

from avsnn_cli.layout import TableRows, percent, table
from pipelines import registry
from pipelines.disk import store
from pipelines.errors import DataError, UsageError

if TYPE_CHECKING:
    from pipelines.download.size import Amount, Size


def everything(kind: str | None) -> dict[str, TableRows]:
    """List one kind of thing, or all kinds. Raises UsageError for an unknown kind."""
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


def datasets() -> TableRows:
    """List data sets with access, size and how many sources are on the disk."""
    from pipelines.download import manifest as manifests
    from pipelines.download.acquire import missing, size

    rows = []
    for name in registry.names("dataset"):
        manifest = manifests.load_manifest(name)
        lacking, sources = len(missing(manifest)), len(manifests.sources(manifest))
        rows.append(
            {
                "dataset": name,
                "access": manifest.access,
                "size": str(_first_known(size(manifest))),
                "on disk": f"{sources - lacking} of {sources}" if sources else "all",
                "licence": manifest.licence,
            }
        )
    return rows


def _first_known(size: "Size") -> "Amount":
    """Return the size on the disk, or that of the download where the other is not known."""
    return size.kept if size.kept.bytes else size.download


def _modules(kind: str) -> TableRows:
    return [{kind: name, "what": registry.summary(kind, name)} for name in registry.names(kind)]


def recipes() -> TableRows:
    """List the bundled recipes with their first comment line."""
    from pipelines.recipe.recipe import bundled_names

    return [{"recipe": name, "what": _heading(name)} for name in bundled_names()]


def of_paper(kind: str | None, paper: str) -> dict[str, TableRows]:
    """List the recipes of a paper by its tables; a recipe of two tables is listed twice.

    Raises UsageError for a kind other than recipes, and for a paper that no recipe names.
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


def runs() -> TableRows:
    """List the runs with their state and, where evaluated, the test accuracy."""
    rows = []
    runs = store.home() / "runs"
    # either file makes a folder a run: one that has lost the other must not vanish from the list
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
        return percent(run_files.read_result(path, schemas.Evaluation)["accuracy"])
    except DataError:
        return "damaged"  # a bad file must not hide the other runs


def as_text(tables: dict[str, TableRows]) -> str:
    """Lay out a single table, or several, each under its name."""
    if len(tables) == 1:
        return table(next(iter(tables.values())))
    parts = (f"{name}\n{table(rows) or '(none)'}" for name, rows in tables.items())
    return "\n\n".join(parts)
