"""`mscol recipes`: bundled recipes, to use or to copy."""

from __future__ import annotations

from typing import Annotated

import typer

from mscol_cli.commands.shared import Json, calls_another, print_configurations
from mscol_cli.commands.terminal import print_titles

recipes = typer.Typer(no_args_is_help=False)


@recipes.callback(invoke_without_command=True)
def overview(context: typer.Context, json: Json = False) -> None:
    """List the bundled recipes: files that set the options of separate, pretrain and probe."""
    from mscol_cli.recipes.recipe import bundled_recipes

    if not calls_another(context, json):
        print_titles(bundled_recipes(), json)


@recipes.command()
def show(
    name: Annotated[str, typer.Argument(help="Name or file of a recipe.", metavar="NAME|FILE")],
    json: Json = False,
) -> None:
    """Print the file of a recipe: 'mscol recipes show smc23 > mine.toml', then '--recipe
    mine.toml'."""
    from mscol_cli.recipes.recipe import read_recipe

    print_configurations([read_recipe(name).text], json)
