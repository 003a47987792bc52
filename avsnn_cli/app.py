"""The command line: every verb by its name, in the order in which `avsnn --help` lists them."""

from typing import Annotated

import typer

from avsnn_cli import verbs_data, verbs_many, verbs_recipes, verbs_results, verbs_training
from avsnn_cli.render import emit

ABOUT = "Repeatable audio-visual spiking-network research, from a YAML recipe."

app = typer.Typer(
    name="avsnn",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help=ABOUT,
)
cache = typer.Typer(
    no_args_is_help=True, help="List, verify and prune the feature caches.", rich_markup_mode=None
)


def _version(is_asked: bool) -> None:
    if is_asked:
        from pipelines.disk.store import versions

        emit(None, as_json=False, text=f"avsnn {versions().get('avsnn', 'unknown')}")
        raise typer.Exit


# help: Typer would otherwise print the docstring, which is for readers of the code
@app.callback(help=ABOUT)
def common(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Take the options that stand before a verb."""


app.command()(verbs_recipes.ls)
app.command()(verbs_recipes.show)
app.command()(verbs_recipes.cp)
app.command()(verbs_recipes.validate)
app.command()(verbs_data.download)
app.command()(verbs_data.prepare)
app.command()(verbs_training.train)
app.command()(verbs_results.evaluate)
app.command("noise-eval")(verbs_results.noise_eval)
app.command()(verbs_results.energy)
app.command()(verbs_results.explain)
app.command()(verbs_results.export)
app.command()(verbs_results.predict)
app.command()(verbs_training.run)
app.command()(verbs_many.sweep)
app.command()(verbs_many.compare)
app.command()(verbs_many.report)
app.command()(verbs_recipes.status)
app.command()(verbs_data.doctor)
app.add_typer(cache, name="cache")
cache.command("ls")(verbs_data.cache_ls)
cache.command("verify")(verbs_data.cache_verify)
cache.command("prune")(verbs_data.cache_prune)
