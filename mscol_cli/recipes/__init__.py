"""Recipes: files that set the options of commands and plugins, all of which are checked."""
