"""The commands of the app, asked of the app."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from mscol_cli.app import app

CLI: Any = typer.main.get_command(app)
VISIBLE = {name: command for name, command in CLI.commands.items() if not command.hidden}
"""The commands that `mscol --help` lists, by name."""


def paths(group: Any = CLI, before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words of every command and of every group of commands, as `("store", "ls")`."""
    for name, command in getattr(group, "commands", {}).items():
        yield (*before, name)
        yield from paths(command, (*before, name))
