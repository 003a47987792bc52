"""What a report shows of one run: its pictures, its energy, its explanations, its making."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.disk import store
from pipelines.errors import DataError
from pipelines.figures.plot_style import DARK_FOLDER, on_both_grounds
from pipelines.reports import html_page as html
from pipelines.reports.compare import EVALUATE, Result
from pipelines.reports.run_plots import draw_doa_by_azimuth, draw_run_confusion, draw_run_training
from pipelines.results import run_files, schemas

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.figure import Figure

PNG = b"\x89PNG\r\n\x1a\n"
# bytes of a picture in an explained/ folder
LARGEST_PICTURE = 4 << 20
CAPTIONS = {
    "distances": "Cosine distances between the clips' embeddings, sorted by class.",
    "cam": "Grad-CAM++: where in the image the network finds the class.",
    "raster": "Spikes of single neurons over the time steps.",
}


def drawn(draw: Callable[[], "Figure"], alt: str, caption: str) -> "Markup":
    """Draw a picture on white and on dark, and return it as markup."""
    light, dark = on_both_grounds(draw)
    return html.picture(light, alt, caption, dark)


def pictures_of(run: Path, result: Result) -> Iterator["Markup"]:
    """Yield, as markup, a run's pictures and numbers; what the run does not have is left out.

    Raises DataError if a file of the run is not readable.
    """
    evaluation = result.evaluation
    try:
        if evaluation["confusion"]:
            n, accuracy = evaluation["n"], evaluation["accuracy"]
            yield drawn(
                partial(draw_run_confusion, result),
                f"Confusion matrix, {accuracy:.2%} of {n} test clips right",
                "Confusion matrix of the test clips.",
            )
        if (run / "metrics.jsonl").exists():
            yield drawn(
                partial(draw_run_training, run),
                "Line chart of training loss and validation accuracy by epoch",
                f"Training; weights selected by {evaluation['selection']}.",
            )
        if "true_azimuths_deg" in evaluation:
            error_deg = evaluation["doa"]["mae_deg"]
            azimuths, true = evaluation["azimuths_deg"], evaluation["true_azimuths_deg"]
            yield drawn(
                partial(draw_doa_by_azimuth, azimuths, true),
                f"Bar chart of the azimuth's error, {error_deg:.2f}° in the mean",
                "Mean absolute error of the azimuth, on the circle, by where the sound was.",
            )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"the results in {run} are not readable: {error!r}", EVALUATE) from error


def counted_and_explained(seeds: Sequence[Path]) -> Iterator["Markup"]:
    """Yield, as markup, the results of `energy` and `explain` of the first run that has them.

    seeds: the runs of one system. Raises DataError if a file of the run is not readable.
    """
    for run in [run for run in seeds if (run / "energy.json").exists()][:1]:
        yield from _energy(run_files.read_result(run / "energy.json", schemas.Energy))
    for run in [run for run in seeds if (run / "explained").is_dir()][:1]:
        yield html.element("h4", f"Explained (run {run.name})")
        yield from _explained(run / "explained")


def made_with(run: Path, result: Result) -> Iterator["Markup"]:
    """Yield, as markup, what a run was made with: data, selection, libraries, machine, recipe.

    Raises DataError if a file of the run is not readable.
    """
    environment = run_files.read_result(run / "env.json", schemas.Environment)
    evaluation = result.evaluation
    trained = run_files.read_result(run / "trained.json", schemas.Trained)
    count = trained.get("parameters")
    earlier_runs = [earlier["run"] for earlier in trained.get("start_from", [])]
    try:
        clips = store.key({"labels": evaluation["labels"]})
        facts = {
            "data set": f"{evaluation['dataset']}, protocol {evaluation['protocol']}",
            "test clips": f"{evaluation['n']}, hash {clips} (of their names and classes)",
            "caches": ", ".join(environment.get("caches", ())) or "not known",
            "selection": str(evaluation["selection"]),
            "seed": str(result.seed),
            "parameters": "not known" if count is None else f"{count:,}",
            "began from": ", ".join(earlier_runs) or "random weights",
            "weights": f"sha256 {evaluation.get('weights_sha256', 'not known')}",
            "versions": _listing(environment.get("versions", {})),
            "machine": _listing(environment.get("machine", {})),
        }
        yield html.facts(facts)
        recipe = (run / "recipe.yaml").read_text(encoding="utf-8", errors="replace")
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"the results in {run} are not readable: {error!r}", EVALUATE) from error
    yield html.element("pre", recipe)


def _energy(energy: Mapping[str, Any]) -> Iterator["Markup"]:
    yield html.element("h4", f"Energy (seed {energy['seed']}): {energy['label']}")
    networks = {"this network": energy["total"], "its ANN twin, one step": energy["ann_twin"]}
    yield html.table(
        [
            {
                "a clip": name,
                "MAC": f"{part['macs']:.4g}",
                "AC": f"{part.get('acs', 0):.4g}",
                **{f"µJ, {kind}": f"{pj / 1e6:.4g}" for kind, pj in part["energy_pj"].items()},
            }
            for name, part in networks.items()
        ]
    )
    text = f"Mean of {energy['n']} test clips; no memory, no neurons; no measurement and no bound."
    if energy["uncounted"]:
        text += f" Not counted: {', '.join(energy['uncounted'])}."
    yield html.element("p", text, "note")
    rows = [
        {
            "layer": row["name"],
            "operation": row["operation"],
            "input": row["input"],
            "density": f"{row['density']:.3f}",
            "MAC": f"{row['macs']:.4g}",
            "AC": f"{row['acs']:.4g}",
            **{f"nJ, {kind}": f"{pj / 1e3:.4g}" for kind, pj in row["energy_pj"].items()},
        }
        for row in energy["layers"]
    ]
    yield html.folded(f"Energy by layer ({len(rows)})", html.table(rows))


def _explained(folder: Path) -> Iterator["Markup"]:
    yield html.pictures(
        _picture_file(path, CAPTIONS.get(path.stem, path.stem))
        for path in sorted(folder.glob("*.png"))
    )
    for path in sorted(folder.glob("*.json")):
        if numbers := dict(_single(store.read_json(path))):
            yield html.folded(f"{path.stem}, in numbers", html.facts(numbers))


def _picture_file(path: Path, caption: str) -> "Markup":
    png = _png(path)
    if png is None:
        size = path.stat().st_size
        return html.element("p", f"{path.name} is left out: {size} bytes.", "note")
    dark = path.parent / DARK_FOLDER / path.name
    # an explanation of before there were dark pictures is shown as it is
    return html.picture(png, caption, caption, _png(dark) if dark.exists() else None)


def _png(path: Path) -> bytes | None:
    """Read a picture; None for one that is too large for a page. Raises DataError."""
    try:
        # the size first: a file that no command of ours has written may be of any
        if path.stat().st_size > LARGEST_PICTURE:
            return None
        png = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}", "avsnn explain RUN") from error
    if not png.startswith(PNG):
        raise DataError(f"{path} is not a PNG picture", "remove it; avsnn explain makes it again")
    return png


def _single(node: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """List the numbers and texts by dotted path; lists are for programs, and left out."""
    if isinstance(node, Mapping):
        for name, value in node.items():
            yield from _single(value, f"{path}.{name}" if path else str(name))
    elif isinstance(node, str) or (isinstance(node, int | float) and not isinstance(node, bool)):
        yield path, node if isinstance(node, str) else f"{node:.6g}"


def _listing(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items() if value is not None)
