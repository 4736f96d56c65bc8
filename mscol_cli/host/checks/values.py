"""Checks of single values, shared by the checks of every kind of part."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mscol_cli.errors import PluginError
from mscol_cli.host.guard import plugin_call

_MISSING = object()


def breach(label: str, problem: str) -> PluginError:
    """The error of a part that breaks its contract."""
    return PluginError(f"{label}: {problem}.")


def attribute(part: object, name: str, label: str) -> Any:
    """An attribute that the contract asks for. Raises PluginError where it is missing."""
    with plugin_call(label, name):  # it may be a property
        value = getattr(part, name, _MISSING)
    if value is _MISSING:
        raise breach(label, f"it has no attribute '{name}', which its contract asks for")
    return value


def check_whole(part: object, names: Iterable[str], label: str, minimum: int = 1) -> None:
    """Attributes must be whole numbers. Raises PluginError."""
    for name in names:
        value = attribute(part, name, label)
        if not is_whole(value, minimum):
            raise breach(label, f"{name} is {value!r}, not a whole number of at least {minimum}")


def is_whole(value: object, minimum: int = 0) -> bool:
    """Whether a value is an `int` of at least `minimum`."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= minimum


def is_name(value: object) -> bool:
    """Whether a value can be part of a file's name and of an option's value."""
    return (
        isinstance(value, str)
        and value.isprintable()
        and value.strip() == value
        and value not in ("", ".", "..")
        and not set(value) & set("/\\,=+")
    )
