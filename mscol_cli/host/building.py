"""Build parts from cards, check their class, and label them for messages."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from operator import attrgetter
from typing import Any

from mscol_cli.contracts.cards import Build
from mscol_cli.errors import MscolError, PluginError
from mscol_cli.host.guard import plugin_call, set_label
from mscol_cli.host.parts import Part


def build_part(part: Part, base: type[Any], *context: object, augmentation: bool = False) -> Any:
    """Build a part: an instance of `base`.

    Args:
        part: The card and its options.
        base: Class required by the contract.
        context: Further arguments of `build`, after the options.
        augmentation: Whether to build the augmentation of an objective's card.

    Raises:
        MscolError: `build` refused its arguments, or lacks a file.
        PluginCallError: `build` or the import of its module raised another exception.
        PluginError: It is not the path of a callable, or did not return an instance of `base`.
    """
    card: Any = part.entry.card
    label = part.entry.label
    with plugin_call(label, "build", (MscolError,)):
        build = _resolve(card.augmentation if augmentation else card.build, label)
        built = build(part.options, *context)
    if not isinstance(built, base):
        raise PluginError(
            f"{label}: build returned {type(built).__name__}, not a subclass of {base.__name__}."
        )
    set_label(built, label)
    return built


def _resolve(build: Build, label: str) -> Callable[..., Any]:
    if not isinstance(build, str):
        return build
    module, _, name = build.partition(":")
    try:
        imported = import_module(module)
    except ModuleNotFoundError as error:
        # If another module is missing, a dependency is not installed; the path may be right.
        if not f"{module}.".startswith(f"{error.name}."):
            raise
        raise PluginError(f"{label}: its card builds '{build}', but {error}.") from error
    try:
        built: Callable[..., Any] = attrgetter(name)(imported)
    except AttributeError as error:
        raise PluginError(f"{label}: its card builds '{build}', but {error}.") from error
    if not callable(built):
        raise PluginError(f"{label}: its card builds '{build}', which is {built!r}, not a class.")
    return built
