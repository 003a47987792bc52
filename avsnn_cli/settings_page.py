"""docs/settings.md: every setting of a recipe, from the same descriptions as `avsnn show` prints.

`python -m avsnn_cli.settings_page` (`make settings`) writes it anew; a test compares the two.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from avsnn_cli import catalogue
from pipelines import registry
from pipelines.recipe.described_settings import SECTION, Setting, settings_of
from pipelines.recipe.modules import NAMINGS
from pipelines.recipe.schema import RecipeFile, SpikeInput
from pipelines.recipe.yaml_reader import dump

PAGE = Path(__file__).parent.parent / "docs/settings.md"
HEAD = """\
# Settings

<!-- written by `make settings`; edit the descriptions in the code, not this page -->

Every setting of a recipe: its default, the values that it takes and what it does. The same is
printed by `avsnn show RECIPE --describe` for one recipe, and by `avsnn show s-cmrl`,
`avsnn show stft` or `avsnn show digits-av` for one model, feature or data set. How a recipe is
written is in [recipes.md](recipes.md). A default of "required" means that there is none. An
asterisk marks the settings of a model that its paper does not give.
"""
TITLES = {"dataset": "Data sets", "feature": "Features", "model": "Models"}


def text() -> str:
    """Return the page: the parts of a recipe, then the models, features and data sets."""
    lines = [HEAD, "## Parts of a recipe\n"]
    top = {s.path: s for s in settings_of(RecipeFile) if "." not in s.path}
    lines += _table(s for s in top.values() if s.takes != SECTION)
    for name, part in top.items():
        if part.takes == SECTION:
            lines += [f"### {name}\n", part.text]
            if more := [n for n in NAMINGS if n.section == name]:
                lines[-1] += f" The {catalogue.WORDS[more[0].kind]} adds its own settings, below."
            if name == "audio":
                lines[-1] += f" Where audio comes as spikes there is only {_spikes()}."
            inside = [s for s in settings_of(RecipeFile) if s.path.startswith(f"{name}.")]
            lines += ["", *_table(inside, drop=f"{name}.")]
    for kind in ("model", "feature", "dataset"):
        lines.append(f"## {TITLES[kind]}\n")
        for name in registry.names(kind):
            lines += _of_module(kind, name)
    return "\n".join(lines).rstrip() + "\n"


def _of_module(kind: str, name: str) -> Iterator[str]:
    about = catalogue.described(kind, name)
    yield f"### {name}\n"
    presets = ", ".join(f"`{preset}`" for preset in about.get("presets", ()))
    summary = f"{about['what'].rstrip('.')}. Section `{about['section']}`"
    yield summary + (f"; presets: {presets}.\n" if presets else ".\n")
    settings = list(catalogue.own_settings(kind, name))
    yield from _table(settings, about.get("assumed", ())) if settings else ["No settings.\n"]


def _spikes() -> str:
    return " and ".join(f"`{name}`" for name in SpikeInput.model_fields)


def _table(settings: Iterable[Setting], assumed: Iterable[str] = (), drop: str = "") -> list[str]:
    marked = set(assumed)
    rows = ["| setting | default | takes | what it does |", "|---|---|---|---|"]
    for setting in settings:
        path = setting.path.removeprefix(drop)
        star = " *" if path.split(".")[0] in marked else ""
        takes = "" if setting.takes == SECTION else setting.takes
        cells = (f"`{path}`{star}", _default(setting), takes, setting.text)
        rows.append("| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |")
    return [*rows, ""]


def _default(setting: Setting) -> str:
    if setting.required:
        return "required"
    if setting.takes == SECTION:
        return "" if setting.default is not None else "`null`"
    return f"`{dump({'_': setting.default}).strip().removeprefix('_: ')}`"


def write() -> None:
    """Write the page into the checkout that this code is in."""
    PAGE.write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    write()
