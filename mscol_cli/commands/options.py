"""Command line options generated from a table of documented options."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from inspect import Parameter, Signature, get_annotations, signature
from types import EllipsisType
from typing import Annotated, Any, TypeVar

import typer

from mscol_cli.commands.panels import in_panel
from mscol_cli.contracts.options import Option

Command = TypeVar("Command", bound=Callable[..., Any])
REST = "options"
"""Name of the `**` parameter that receives them."""


def with_options(
    table: Iterable[Option],
    panels: Mapping[str, Sequence[str | EllipsisType]],
    panel_of: Mapping[str, str],
) -> Callable[[Command], Command]:
    """Give a command the options of a table, in place of its parameter `**options`.

    Args:
        table: The options; the command gets None for one that is not given.
        panels: Names of parameters by panel title, in the order of the help; `...` stands for the
            options of the table that are not named.
        panel_of: Panel of an option that is not named, by role.
    """
    generated = {item.name: item for item in table if item.metadata["flag"]}
    named = {name for names in panels.values() for name in names}
    others = {
        name: panel_of[item.metadata["role"]]
        for name, item in generated.items()
        if name not in named
    }
    placed = _placed(panels, others)

    def decorate(command: Command) -> Command:
        declared = {
            name: item.default
            for name, item in signature(command).parameters.items()
            if name != REST
        }
        hints = get_annotations(command, eval_str=True)
        hints |= {name: _hint(item) for name, item in generated.items()}
        hints |= {name: in_panel(hints[name], title) for name, title in placed.items()}
        defaults = {**dict.fromkeys(generated), **declared}
        ordered = [*(name for name in declared if name not in placed), *placed]
        parameters = [
            Parameter(name, Parameter.KEYWORD_ONLY, default=defaults[name], annotation=hints[name])
            for name in ordered
        ]
        command.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = hints
        return command

    return decorate


def _placed(
    panels: Mapping[str, Sequence[str | EllipsisType]], others: Mapping[str, str]
) -> dict[str, str]:
    """The panel of each parameter, in the order of the help."""
    placed: dict[str, str] = {}
    for title, names in panels.items():
        for name in names:
            rest = [other for other, panel in others.items() if panel == title]
            placed |= dict.fromkeys(rest if name is ... else [str(name)], title)
    return placed


def _hint(item: Option) -> Any:
    default = f" [default: {item.default}]" if item.default != "" else ""
    option = typer.Option(
        item.flag,
        help=f"{item.metadata['help']}{default}",
        metavar=item.metadata["metavar"] or _metavar(item),
    )
    return Annotated[item.kind | None, option]


def _metavar(item: Option) -> str | None:
    if choices := item.metadata["choices"]:
        return "|".join(choices)
    return "NAME" if item.kind is str else None
