"""Find parts by name and set their options; objectives can be joined, as in `msa+mws`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, cast

from mscol_cli.contracts.cards import ObjectiveCard
from mscol_cli.errors import UsageError
from mscol_cli.host.names import unknown_name
from mscol_cli.host.options import make_options, split_assignment
from mscol_cli.host.registry import Entry, Kind, Registry

Values = Mapping[str, Any]
JOIN = "+"


@dataclass(frozen=True)
class Part:
    """A card and the options it is built with.

    Attributes:
        entry: The card and its owner.
        options: An instance of the card's options, or of its augmentation's options.
    """

    entry: Entry
    options: Any

    @property
    def name(self) -> str:
        """Name of the card."""
        return self.entry.card.name


def describe_part(part: Part) -> dict[str, Any]:
    """An encoder, or one part of an objective, as recorded in run.json."""
    return {
        "name": part.name,
        "owner": part.entry.owner,
        "version": part.entry.version,
        "options": asdict(part.options),
    }


def find_part(
    registry: Registry,
    kind: Kind,
    name: str,
    assignments: Sequence[str] = (),
    preset: Mapping[str, Values] | None = None,
) -> Part:
    """Find a part and set its options.

    Args:
        registry: The installed plugins.
        kind: Kind of the part.
        name: Name of the part.
        assignments: The user's `KEY=VALUE` or `NAME.KEY=VALUE`; the last one wins.
        preset: Options by name of the part, overridden by assignments.

    Raises:
        UsageError: A name, option or value is invalid.
    """
    entry = registry.find(kind, name)
    return _parts([(entry, entry.card.options)], assignments, preset or {})[0]


def find_objective(
    registry: Registry,
    name: str,
    assignments: Sequence[str] = (),
    preset: Mapping[str, Values] | None = None,
    sources: str | None = None,
) -> list[Part]:
    """Find an objective, followed by the augmentations that it is trained with.

    Args:
        registry: The installed plugins.
        name: Name of the objective, or several names joined by a plus.
        assignments: See `find_part`.
        preset: See `find_part`.
        sources: `a,b,c`, for the option that the objective's card declares as `sources_option`.

    Raises:
        UsageError: A name, option or value is invalid, or the card of a name after a plus has no
            augmentation.
    """
    names = [part.strip() for part in name.split(JOIN)]
    if len(set(names)) < len(names):
        raise UsageError(f"objective '{name}' repeats a name: give each name once.")
    first, *rest = [registry.find("objective", part) for part in names]
    if sources is not None:
        option = cast(ObjectiveCard, first.card).sources_option
        # Without a declaration, use an option of this name, or list the known options in the error.
        key = "stems" if option is None else f"{first.card.name}.{option}"
        assignments = [*assignments, f"{key}={sources}"]
    takes = [(first, first.card.options), *((entry, _augmentation(entry)) for entry in rest)]
    return _parts(takes, assignments, preset or {})


def _augmentation(entry: Entry) -> type:
    card = cast(ObjectiveCard, entry.card)
    if card.augmentation is None:
        raise UsageError(
            f"objective '{card.name}' has no augmentation that other objectives can use: put it"
            " first, or leave it out."
        )
    return card.augmentation_options


def _parts(
    takes: Sequence[tuple[Entry, type]], assignments: Sequence[str], preset: Mapping[str, Values]
) -> list[Part]:
    owners = [_label(entry) for entry, _ in takes]
    values: list[dict[str, Any]] = [
        _known(preset.get(entry.card.name, {}), options, entry) for entry, options in takes
    ]
    for text in assignments:
        index, key, value = _assign(text, takes, owners)
        values[index][key] = value
    return [
        Part(entry, make_options(options, assigned, owner))
        for (entry, options), assigned, owner in zip(takes, values, owners, strict=True)
    ]


def _known(preset: Values, options: type, entry: Entry) -> dict[str, Any]:
    """Presets without those of the objective that its augmentation does not take. Keys that both do
    not know are kept: `make_options` refuses them."""
    other = {item.name for item in fields(entry.card.options)}
    other -= {item.name for item in fields(options)}
    return {key: value for key, value in preset.items() if key not in other}


def _assign(
    text: str, takes: Sequence[tuple[Entry, type]], owners: Sequence[str]
) -> tuple[int, str, str]:
    """Index of the part that an assignment belongs to, its key and its value."""
    key, value = split_assignment(text, " and ".join(owners))
    name, _, bare = key.rpartition(".")
    names = [entry.card.name for entry, _ in takes]
    if name:
        # Keys may have underscores or dashes; names are those of the cards.
        matches = [index for index, known in enumerate(names) if known.replace("-", "_") == name]
        if not matches:
            raise unknown_name("part", name, names)
        return matches[0], bare, value
    keys = [{item.name for item in fields(options)} for _, options in takes]
    matches = [index for index, known_keys in enumerate(keys) if bare in known_keys]
    if len(matches) > 1:
        example = f"{names[matches[0]]}.{bare}={value}"
        raise UsageError(f"several parts have an option {bare}: name the part, as in {example}.")
    if not matches and len(takes) > 1:
        raise unknown_name(f"option of {' and '.join(owners)}", bare, set().union(*keys))
    return (matches[0] if matches else 0), bare, value


def _label(entry: Entry) -> str:
    return f"{entry.kind} '{entry.card.name}'"
