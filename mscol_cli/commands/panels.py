"""Groups of options in the help of a long command."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from inspect import get_annotations
from typing import Annotated, Any, TypeVar

PROCESSES = "Processes and devices"
OUTPUT = "Output"

Command = TypeVar("Command", bound=Callable[..., Any])


def in_panels(panels: Mapping[str, Sequence[str]]) -> Callable[[Command], Command]:
    """Show options of a command in separate panels; the others stay under `Options`.

    Args:
        panels: Names of the command's parameters, by panel title.
    """

    def decorate(command: Command) -> Command:
        hints = get_annotations(command, eval_str=True)
        for title, names in panels.items():
            for name in names:
                hints[name] = in_panel(hints[name], title)
        command.__annotations__ = hints
        return command

    return decorate


def in_panel(hint: Any, title: str) -> Any:
    """Copy the annotation of an option, with a panel."""
    # A copy: commands share the annotations of options.
    info = copy(hint.__metadata__[0])
    info.rich_help_panel = title
    return Annotated[hint.__origin__, info]
