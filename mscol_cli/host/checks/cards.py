"""Checks of cards: names, build paths and options."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any, get_type_hints

from mscol_cli.contracts.cards import MODELS, Card, EncoderCard, ObjectiveCard
from mscol_cli.contracts.options import Option
from mscol_cli.errors import PluginError, UsageError
from mscol_cli.host.checks.values import NAME_RULE, is_name
from mscol_cli.host.guard import describe_error
from mscol_cli.host.options import TEXTS, Wording, make_options, read_value

_TYPES = (int, float, bool, str, TEXTS)
_DEFAULT = Wording("option", lambda _: "", text=False)
_PATH = re.compile(r"\w+(\.\w+)*:\w+(\.\w+)*")


def validate_card(card: Card) -> None:
    """Check a card.

    Raises:
        PluginError: A name, text, build path or option is invalid.
        UsageError: Its options refuse their defaults.
    """
    _validate_name(card)
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


def _validate_name(card: Card) -> None:
    if not is_name(card.name):
        raise PluginError(f"a card is named {card.name!r}: {NAME_RULE}")
    if isinstance(card, EncoderCard) and (card.name in MODELS or ":" in card.name):
        raise PluginError(
            f"an encoder is named '{card.name}', which --model reads as a model: rename it"
        )


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
    try:
        types = get_type_hints(options)
    except Exception as error:  # an annotation may be any expression
        raise PluginError(
            f"annotations of the options of card '{card}' have an error: {describe_error(error)}"
        ) from error
    for item in fields(options):
        if (problem := _problem(item, types[item.name])) is not None:
            raise PluginError(f"option {item.name} of card '{card}' {problem}")
    make_options(options, {}, f"card '{card}'")


def _problem(item: Field[Any], type_: object) -> str | None:
    if item.default is MISSING or "help" not in item.metadata:
        return "is not declared with option(default, help)"
    if type_ not in _TYPES:
        return "is not annotated as int, float, bool, str or tuple[str, ...]"
    if (problem := _rule_problem(item.metadata, type_)) is not None:
        return problem
    try:
        read_value(Option(item.name, type_, item.default, item.metadata), item.default, _DEFAULT)
    except UsageError as error:
        return f"has a default that its rules refuse: it {str(error).strip()}"
    return None


def _rule_problem(rules: Mapping[str, Any], type_: object) -> str | None:
    bounds = [rules[name] for name in ("minimum", "maximum") if rules.get(name) is not None]
    if bounds and not (type_ in (int, float) and all(isinstance(b, int | float) for b in bounds)):
        return f"has the bounds {bounds}, and only a number can have bounds, which are numbers"
    choices = rules.get("choices")
    if choices is not None and not (type_ in (str, TEXTS) and _are_texts(choices)):
        return f"has the choices {choices!r}, and only a text can have choices, which are texts"
    return None


def _are_texts(choices: object) -> bool:
    if isinstance(choices, str) or not isinstance(choices, Collection):
        return False
    return all(isinstance(choice, str) for choice in choices)
