"""Recipes: TOML files that set options of commands and plugins."""
