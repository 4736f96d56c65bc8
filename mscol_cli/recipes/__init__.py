"""Recipes: files that set the options of commands and plugins, for a study as a whole."""

from mscol_cli.recipes.reading import NO_RECIPE, Recipe, bundled_recipes, read_recipe
from mscol_cli.recipes.study import (
    Study,
    StudyRun,
    StudyStore,
    bundled_studies,
    read_study,
    study_text,
)
from mscol_cli.recipes.writing import to_toml

__all__ = [
    "NO_RECIPE",
    "Recipe",
    "Study",
    "StudyRun",
    "StudyStore",
    "bundled_recipes",
    "bundled_studies",
    "read_recipe",
    "read_study",
    "study_text",
    "to_toml",
]
