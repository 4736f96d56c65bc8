"""Recipes: files that set the options of commands and plugins, for a study as a whole."""

from mscol_cli.recipes.recipe import NO_RECIPE, Recipe, bundled_recipes, read_recipe, to_toml

__all__ = [
    "NO_RECIPE",
    "Recipe",
    "bundled_recipes",
    "read_recipe",
    "to_toml",
]
