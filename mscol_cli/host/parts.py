"""Named parts with their options; objectives may be several, joined by a plus: `msa+mws`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
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
        options: An instance of the card's options; of its augmentation's for every objective but
            the first.
    """

    entry: Entry
    options: Any

    @property
    def name(self) -> str:
        """Name of the card."""
        return self.entry.card.name


def find_part(
    registry: Registry,
    kind: Kind,
    name: str,
    assignments: Sequence[str] = (),
    preset: Mapping[str, Values] | None = None,
) -> Part:
    """One part.

    Args:
        registry: What is installed.
        kind: Of the part.
        name: Of the part.
        assignments: `KEY=VALUE`, or `NAME.KEY=VALUE`, as the user gave them; the last one wins.
        preset: By name, options that hold where no assignment says otherwise.

    Raises:
        UsageError: An unknown name or option, or a value it does not take.
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
    """An objective, then the augmentations it is trained under.

    Args:
        registry: As of `find_part`.
        name: Of the objective, or of several joined by a plus.
        assignments: As of `find_part`.
        preset: As of `find_part`.
        sources: `a,b,c`, for the option that the objective's card declares as `sources_option`.

    Raises:
        UsageError: Also a name after a plus whose card has no augmentation.
    """
    names = [part.strip() for part in name.split(JOIN)]
    if len(set(names)) < len(names):
        raise UsageError(f"objective '{name}' names a part twice: once is enough.")
    first, *rest = [registry.find("objective", part) for part in names]
    if sources is not None:
        option = cast(ObjectiveCard, first.card).sources_option
        # Where none is declared, an option of this name takes them, or the error names those known.
        key = "stems" if option is None else f"{first.card.name}.{option}"
        assignments = [*assignments, f"{key}={sources}"]
    takes = [(first, first.card.options), *((entry, _augmentation(entry)) for entry in rest)]
    return _parts(takes, assignments, preset or {})


def _augmentation(entry: Entry) -> type:
    card = cast(ObjectiveCard, entry.card)
    if card.augmentation is None:
        raise UsageError(
            f"objective '{card.name}' does nothing to crops that another could use: put it first,"
            " or leave it out."
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
        place, key, value = _placed(text, takes, owners)
        values[place][key] = value
    return [
        Part(entry, make_options(options, given, owner))
        for (entry, options), given, owner in zip(takes, values, owners, strict=True)
    ]


def _known(preset: Values, options: type, entry: Entry) -> dict[str, Any]:
    """The presets that this use of a card takes: an objective used for its augmentation alone does
    not take those of the whole. A key that neither knows is left for `make_options` to refuse."""
    whole = {item.name for item in fields(entry.card.options)}
    own = {item.name for item in fields(options)}
    return {key: value for key, value in preset.items() if key in own or key not in whole}


def _placed(
    text: str, takes: Sequence[tuple[Entry, type]], owners: Sequence[str]
) -> tuple[int, str, str]:
    """Which part an assignment belongs to, its key and its value."""
    key, value = split_assignment(text, " and ".join(owners))
    name, _, bare = key.rpartition(".")
    names = [entry.card.name for entry, _ in takes]
    if name:
        # Keys are written with underscores or dashes, names as the card has them.
        near = [place for place, known in enumerate(names) if known.replace("-", "_") == name]
        if not near:
            raise unknown_name("part", name, names)
        return near[0], bare, value
    has = [place for place, (_, type_) in enumerate(takes) if _has(type_, bare)]
    if len(has) > 1:
        one = f"{names[has[0]]}.{bare}"
        raise UsageError(f"several parts have an option {bare}: say which, as in {one}={value}.")
    if not has and len(takes) > 1:
        known = {item.name for _, type_ in takes for item in fields(type_)}
        raise unknown_name(f"option of {' and '.join(owners)}", bare, known)
    return (has[0] if has else 0), bare, value


def _has(options: type, key: str) -> bool:
    return any(item.name == key for item in fields(options))


def _label(entry: Entry) -> str:
    return f"{entry.kind} '{entry.card.name}'"
