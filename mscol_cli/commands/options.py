"""Command line options generated from the fields of a request."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import MISSING
from functools import wraps
from inspect import Parameter, Signature, signature
from types import EllipsisType
from typing import Annotated, Any, get_args, get_origin

import typer

from mscol_cli.contracts.options import Option, options_of
from mscol_cli.errors import UsageError

PROCESSES = "Processes and devices"
OUTPUT = "Output"
Panels = Mapping[str, Sequence[str | EllipsisType]]
NUMBERS = tuple[float, ...]


def with_request(
    panels: Panels | None = None,
    settings: Iterable[Option] = (),
    panel_of: Mapping[str, str] | None = None,
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options that the class of its parameter `request` declares.

    Args:
        panels: Names of parameters by panel title, in the order of the help; `...` stands for the
            settings that are not named. Parameters without a panel come first.
        settings: Settings of a run; those that are given are `request.options`, by name.
        panel_of: Panel of a setting that is not named, by role.
    """
    flags = {item.name: item for item in settings if item.metadata["flag"]}
    placed = _placed(panels or {}, flags, panel_of or {})

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = dict(signature(command, eval_str=True).parameters)
        request = own.pop("request").annotation
        options = options_of(request)
        known = {item.name: _parameter(item) for item in options}
        known |= own | {name: _setting(item) for name, item in flags.items()}
        first = {name: item for name, item in known.items() if name not in placed}
        known = first | {name: _shown_in(known[name], panel) for name, panel in placed.items()}

        @wraps(command)
        def call(**values: Any) -> None:
            given = {item.name: _value(item, values.pop(item.name)) for item in options}
            if flags:
                chosen = {name: values.pop(name) for name in flags}
                given["options"] = {name: v for name, v in chosen.items() if v is not None}
            command(request=request(**given), **values)

        call.__annotations__ = {name: item.annotation for name, item in known.items()}
        keywords = [item.replace(kind=Parameter.KEYWORD_ONLY) for item in known.values()]
        call.__signature__ = Signature(keywords)  # type: ignore[attr-defined]
        return call

    return decorate


def _placed(
    panels: Panels, flags: Mapping[str, Option], panel_of: Mapping[str, str]
) -> dict[str, str]:
    """The panel of each parameter, in the order of the help."""
    named = {name for names in panels.values() for name in names}
    others = {
        name: panel_of[item.metadata["role"]] for name, item in flags.items() if name not in named
    }
    placed: dict[str, str] = {}
    for title, names in panels.items():
        for name in names:
            rest = [other for other, panel in others.items() if panel == title]
            placed |= dict.fromkeys(rest if name is ... else [str(name)], title)
    return placed


def _parameter(item: Option) -> Parameter:
    """The parameter of a field of a request."""
    kind = item.kind
    if kind == NUMBERS:
        kind = str
    elif _is_repeated(kind):
        kind = list[get_args(kind)[0]]  # type: ignore[misc]
    if item.default is MISSING:
        return _keyword(item.name, kind, Parameter.empty, describe(item))
    default = item.default if kind is bool else item.default or None
    return _keyword(
        item.name, kind if default is not None else kind | None, default, describe(item)
    )


def describe(item: Option) -> Any:
    """Typer's description of an option or argument that `parameter` declares."""
    about = item.metadata
    shown = {"help": about["help"], "metavar": about["metavar"] or None, "min": about["least"]}
    if about["positional"]:
        return typer.Argument(**shown, readable=False)  # one unreadable input must not end all
    return typer.Option(*filter(None, (about["short"], item.flag)), **shown)


def _setting(item: Option) -> Parameter:
    """The parameter of a setting, which a recipe may set instead."""
    about = item.metadata
    default = f" [default: {item.default}]" if item.default != "" else ""
    usual = "NAME" if item.kind is str else None
    metavar = about["metavar"] or "|".join(about["choices"] or ()) or usual
    option = typer.Option(item.flag, help=f"{about['help']}{default}", metavar=metavar)
    return _keyword(item.name, item.kind | None, None, option)


def _keyword(name: str, kind: Any, default: Any, about: Any) -> Parameter:
    annotation = Annotated[kind, about]
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _shown_in(item: Parameter, title: str) -> Parameter:
    """Show an option in a panel of the help."""
    # A copy: commands share the annotations of options.
    info = copy(item.annotation.__metadata__[0])
    info.rich_help_panel = title
    return item.replace(annotation=Annotated[item.annotation.__origin__, info])


def _is_repeated(kind: Any) -> bool:
    return get_origin(kind) is tuple and ... in get_args(kind)


def _value(item: Option, given: Any) -> Any:
    """The value of a field of a request; None for its default."""
    if given is None:
        return item.default
    if item.kind == NUMBERS:
        return _numbers(item.flag, given)
    return tuple(given) if _is_repeated(item.kind) else given


def _numbers(option: str, text: str | None) -> tuple[float, ...]:
    """Parse numbers separated by commas. Raises UsageError."""
    try:
        values = tuple(float(part) for part in text.split(",")) if text else ()
    except ValueError:
        values = (math.nan,)
    if not all(map(math.isfinite, values)):
        raise UsageError(f"{option} takes numbers separated by commas, not '{text}'.")
    return values
