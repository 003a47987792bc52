"""What a report shows of one run: its pictures, its energy, its explanations, its making."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.disk import store
from pipelines.errors import DataError
from pipelines.figures.plot_style import as_png
from pipelines.reports import html_page as html
from pipelines.reports.compare import HINT, Result
from pipelines.reports.run_plots import draw_doa_by_azimuth, draw_run_confusion, draw_run_training
from pipelines.results import run_files, schemas

if TYPE_CHECKING:
    from markupsafe import Markup

PNG = b"\x89PNG\r\n\x1a\n"
LARGEST_PICTURE = 4 << 20
CAPTIONS = {
    "distances": "Cosine distances between the clips' embeddings, sorted by class.",
    "cam": "Grad-CAM++: where in the image the network finds the class.",
    "raster": "Spikes of single neurons over the time steps.",
}


def pictures_of(run: Path, result: Result) -> Iterator["Markup"]:
    """Yield, as markup, a run's pictures and numbers; what the run does not have is left out.

    Raises DataError if a file of the run is not readable.
    """
    found = result.evaluation
    try:
        if found["confusion"]:
            yield html.picture(
                as_png(draw_run_confusion(result)),
                f"Confusion matrix, {found['accuracy']:.2%} of {found['n']} test clips right",
                "Confusion matrix of the test clips.",
            )
        if (run / "metrics.jsonl").exists():
            yield html.picture(
                as_png(draw_run_training(run)), "Line chart of training loss and validation "
                "accuracy by epoch", f"Training; weights selected by {found['selection']}.",
            )  # fmt: skip
        if "true_azimuths_deg" in found:
            figure = draw_doa_by_azimuth(found["azimuths_deg"], found["true_azimuths_deg"])
            yield html.picture(
                as_png(figure),
                f"Bar chart of the azimuth's error, {found['doa']['mae_deg']:.2f}° in the mean",
                "Mean absolute error of the azimuth, on the circle, by where the sound was.",
            )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"the results in {run} are not readable: {error!r}", HINT) from error


def counted_and_explained(seeds: Sequence[Path]) -> Iterator["Markup"]:
    """Yield, as markup, what `energy` and `explain` found in the first of these runs that has it.

    seeds: the runs of one system. Raises DataError if a file of the run is not readable.
    """
    for run in [run for run in seeds if (run / "energy.json").exists()][:1]:
        yield from _energy(run_files.read(run / "energy.json", schemas.Energy))
    for run in [run for run in seeds if (run / "explained").is_dir()][:1]:
        yield html.element("h4", f"Explained (run {run.name})")
        yield from _explained(run / "explained")


def made_with(run: Path, result: Result) -> Iterator["Markup"]:
    """Yield, as markup, what a run was made with: data, selection, libraries, machine, recipe.

    Raises DataError if a file of the run is not readable.
    """
    environment = run_files.read(run / "env.json", schemas.Environment)
    found = result.evaluation
    trained = run_files.read(run / "trained.json", schemas.Trained)
    count = trained.get("parameters")
    begun = [earlier["run"] for earlier in trained.get("start_from", [])]
    try:
        yield html.facts({
            "data set": f"{found['dataset']}, protocol {found['protocol']}",
            "test clips": f"{found['n']}, hash {store.key({'labels': found['labels']})} "
                          "(of their names and classes)",
            "caches": ", ".join(environment.get("caches", ())) or "not known",
            "selection": str(found["selection"]),
            "seed": str(result.seed),
            "parameters": "not known" if count is None else f"{count:,}",
            "began from": ", ".join(begun) or "random weights",
            "weights": f"sha256 {found.get('weights_sha256', 'not known')}",
            "versions": _listing(environment.get("versions", {})),
            "machine": _listing(environment.get("machine", {})),
        })  # fmt: skip
        recipe = (run / "recipe.yaml").read_text(encoding="utf-8", errors="replace")
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"the results in {run} are not readable: {error!r}", HINT) from error
    yield html.element("pre", recipe)


def _energy(found: Mapping[str, Any]) -> Iterator["Markup"]:
    yield html.element("h4", f"Energy (seed {found['seed']}): {found['label']}")
    yield html.table([
        {"a clip": name, "MAC": f"{part['macs']:.4g}", "AC": f"{part.get('acs', 0):.4g}",
         **{f"µJ, {kind}": f"{pj / 1e6:.4g}" for kind, pj in part["energy_pj"].items()}}
        for name, part in (("this network", found["total"]),
                           ("its ANN twin, one step", found["ann_twin"]))
    ])  # fmt: skip
    text = f"Mean of {found['n']} test clips; no memory, no neurons; no measurement and no bound."
    if found["uncounted"]:
        text += f" Not counted: {', '.join(found['uncounted'])}."
    yield html.element("p", text, "note")
    rows = [
        {"layer": row["name"], "operation": row["operation"], "input": row["input"],
         "density": f"{row['density']:.3f}", "MAC": f"{row['macs']:.4g}",
         "AC": f"{row['acs']:.4g}",
         **{f"nJ, {kind}": f"{pj / 1e3:.4g}" for kind, pj in row["energy_pj"].items()}}
        for row in found["layers"]
    ]  # fmt: skip
    yield html.folded(f"Energy by layer ({len(rows)})", html.table(rows))


def _explained(folder: Path) -> Iterator["Markup"]:
    for path in sorted([*folder.glob("*.json"), *folder.glob("*.png")]):
        caption = CAPTIONS.get(path.stem, path.stem)
        if path.suffix == ".png":
            yield _picture_file(path, caption)
        elif numbers := dict(_single(store.read_json(path))):
            yield html.folded(f"{path.stem}, in numbers", html.facts(numbers))


def _picture_file(path: Path, caption: str) -> "Markup":
    try:
        size = path.stat().st_size
        if size > LARGEST_PICTURE:
            return html.element("p", f"{path.name} is left out: {size} bytes.", "note")
        png = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}", "avsnn explain RUN") from error
    if not png.startswith(PNG):
        raise DataError(f"{path} is not a PNG picture", "remove it; avsnn explain makes it again")
    return html.picture(png, caption, caption)


def _single(node: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """List the numbers and texts by dotted path; lists are for programs, and left out."""
    if isinstance(node, Mapping):
        for name, value in node.items():
            yield from _single(value, f"{path}.{name}" if path else str(name))
    elif isinstance(node, str) or (isinstance(node, int | float) and not isinstance(node, bool)):
        yield path, node if isinstance(node, str) else f"{node:.6g}"


def _listing(found: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in found.items() if value is not None)
