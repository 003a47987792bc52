"""The verbs of recipes and of what they name: ls, show, cp, validate, status."""

from typing import Annotated

import typer

from avsnn_cli import completion, listing
from avsnn_cli.layout import table
from avsnn_cli.options import ForceFile, Json, RecipeName, Set, overrides
from avsnn_cli.render import emit
from pipelines.errors import RecipeError


def ls(
    kind: Annotated[
        str | None,
        typer.Argument(
            metavar="datasets|features|models|recipes|runs",
            help="Kind of thing to list; without it, all kinds.",
            autocompletion=completion.topics,
        ),
    ] = None,
    paper: Annotated[
        str | None,
        typer.Option(
            "--paper",
            metavar="NAME",
            help="List only the recipes of this paper, by its tables.",
            autocompletion=completion.papers,
        ),
    ] = None,
    json: Json = False,
) -> None:
    """List data sets, features, models, recipes and runs."""
    rows = listing.everything(kind) if paper is None else listing.of_paper(kind, paper)
    emit(rows, json, listing.as_text(rows), f"no {kind} yet")


def show(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="Name of a recipe, model, data set or feature; a recipe comes first.",
            autocompletion=completion.shown,
        ),
    ],
    describe: Annotated[
        bool,
        typer.Option("--describe", help="Print each setting with its meaning and its range."),
    ] = False,
    set_: Set = None,
    json: Json = False,
) -> None:
    """Print a recipe in full, or describe what it is built from.

    A recipe is printed with all its defaults; a model, data set or feature is described.
    """
    from avsnn_cli.describe import shown

    data, text = shown(name, set_ or (), explain=describe)
    emit(data, json, text)


def cp(
    recipe: RecipeName,
    destination: Annotated[
        str, typer.Argument(metavar="DEST", help="File or folder for the copy.")
    ],
    force: ForceFile = False,
) -> None:
    """Copy a recipe to a file that you can edit."""
    from avsnn_cli import recipes

    emit(None, as_json=False, text=str(recipes.copy(recipe, destination, force=force)))


def validate(
    recipe: Annotated[
        list[str],
        typer.Argument(
            metavar="RECIPE",
            help="Names of bundled recipes, or YAML files.",
            autocompletion=completion.recipes,
        ),
    ],
    set_: Set = None,
    json: Json = False,
) -> None:
    """Check recipes, and report every fault in every file."""
    from avsnn_cli import recipes

    rows = recipes.validated(recipe, set_ or ())
    faulty = [row for row in rows if row["faults"]]
    emit(rows, json, "" if faulty else f"{len(rows)} valid")
    if faulty:
        raise RecipeError(recipes.joined(row["faults"] for row in faulty))


def status(recipe: RecipeName, set_: Set = None, json: Json = False) -> None:
    """Report which stages of a recipe are done, or why not."""
    from pipelines.recipe import recipe as recipes
    from pipelines.runs.status import status as stages

    rows = stages(recipes.load_recipe(recipes.find(recipe), overrides(set_, None)))
    emit(rows, json, table(rows))
