"""Checks of cards: names, build paths and options."""

from __future__ import annotations

import re
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any, get_type_hints

from mscol_cli.contracts.cards import Card, ObjectiveCard
from mscol_cli.contracts.options import Option
from mscol_cli.errors import PluginError, UsageError
from mscol_cli.host.checks.values import is_name
from mscol_cli.host.options import Wording, read_value

_TYPES = (int, float, bool, str, tuple[str, ...])
_DEFAULT = Wording("option", lambda _: "", text=False)
_PATH = re.compile(r"\w+(\.\w+)*:\w+(\.\w+)*")


def validate_card(card: Card) -> None:
    """Check a card. Raises PluginError."""
    if not is_name(card.name):
        raise PluginError(
            f"a card is named {card.name!r}: a name must not begin or end with spaces, or contain"
            " any of / \\ , = +"
        )
    for name in ("summary", "reference"):
        if not isinstance(text := getattr(card, name), str):
            raise PluginError(f"{name} of card '{card.name}' is {text!r}, not a text")
    parts: list[tuple[str, Any, type]] = [("build", card.build, card.options)]
    if isinstance(card, ObjectiveCard) and card.augmentation is not None:
        parts.append(("augmentation", card.augmentation, card.augmentation_options))
    for name, build, options in parts:
        if not callable(build) and not (isinstance(build, str) and _PATH.fullmatch(build)):
            raise PluginError(
                f"{name} of card '{card.name}' is {build!r}, neither 'package.module:Class' nor a"
                " function"
            )
        _validate_options(options, card.name)
    if isinstance(card, ObjectiveCard):
        _validate_sources_option(card)


def _validate_sources_option(card: ObjectiveCard) -> None:
    types = get_type_hints(card.options)
    if card.sources_option is not None and types.get(card.sources_option) != tuple[str, ...]:
        raise PluginError(
            f"sources_option of card '{card.name}' is {card.sources_option!r}, which is not an"
            " option annotated as tuple[str, ...]"
        )


def _validate_options(options: object, card: str) -> None:
    if not isinstance(options, type) or not is_dataclass(options):
        raise PluginError(f"options of card '{card}' are {options!r}, not a dataclass")
    types = get_type_hints(options)
    for item in fields(options):
        if (problem := _problem(item, types[item.name])) is not None:
            raise PluginError(f"option {item.name} of card '{card}' {problem}")


def _problem(item: Field[Any], type_: object) -> str | None:
    if item.default is MISSING or "help" not in item.metadata:
        return "is not declared with option(default, help)"
    if type_ not in _TYPES:
        return "is not annotated as int, float, bool, str or tuple[str, ...]"
    try:
        read_value(Option(item.name, type_, item.default, item.metadata), item.default, _DEFAULT)
    except UsageError as error:
        return f"has a default that its rules refuse: it {str(error).strip()}"
    return None
