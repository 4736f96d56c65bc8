"""Loads plugins one at a time, so that a broken one costs only itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal

import pluggy

from mscol_cli.contracts import hooks
from mscol_cli.contracts.cards import (
    Card,
    EncoderCard,
    ImporterCard,
    ObjectiveCard,
    SeparatorCard,
    TaskCard,
)
from mscol_cli.errors import MscolError, PluginError
from mscol_cli.host.names import unknown_name
from mscol_cli.host.options import parse_options

Kind = Literal["objective", "encoder", "separator", "task", "importer"]
KINDS: dict[Kind, type[Card]] = {
    "objective": ObjectiveCard,
    "encoder": EncoderCard,
    "separator": SeparatorCard,
    "task": TaskCard,
    "importer": ImporterCard,
}


@dataclass(frozen=True)
class Entry:
    """A card and who brought it.

    Attributes:
        kind: What the card is for.
        card: The card.
        owner: Distribution that brought it.
        version: Version of that distribution.
    """

    kind: Kind
    card: Card
    owner: str
    version: str

    def options(self, assignments: Sequence[str] = ()) -> Any:
        """The card's options from `KEY=VALUE` strings. Raises UsageError."""
        return parse_options(self.card.options, assignments, self._label())

    def _label(self) -> str:
        return f"{self.kind} '{self.card.name}'"


@dataclass(frozen=True)
class Failure:
    """A plugin that could not be loaded, and why."""

    plugin: str
    owner: str
    version: str
    reason: str


@dataclass
class Registry:
    """Everything that is installed.

    Attributes:
        entries: Every card of every plugin that loaded.
        failures: The plugins that did not.
    """

    entries: list[Entry] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    def of_kind(self, kind: Kind) -> list[Entry]:
        """All entries of a kind, by name."""
        found = [entry for entry in self.entries if entry.kind == kind]
        return sorted(found, key=lambda entry: (entry.card.name, entry.owner))

    def find(self, kind: Kind, name: str) -> Entry:
        """The one entry of that kind and name.

        Raises:
            UsageError: Nothing is called that; the message has the nearest name.
            PluginError: Two plugins offer the name; the message has both.
        """
        found = [entry for entry in self.of_kind(kind) if entry.card.name == name]
        if not found:
            raise unknown_name(kind, name, {entry.card.name for entry in self.of_kind(kind)})
        if len(found) > 1:
            raise PluginError(_clash(found))
        return found[0]

    def clashes(self) -> list[str]:
        """One line per name that two plugins offer."""
        by_name: dict[tuple[str, str], list[Entry]] = {}
        for entry in self.entries:
            by_name.setdefault((entry.kind, entry.card.name), []).append(entry)
        return [_clash(found) for found in by_name.values() if len(found) > 1]


def load_registry(points: Iterable[EntryPoint] | None = None) -> Registry:
    """Load every plugin that is installed.

    Args:
        points: Entry points to load instead of those of the group `mscol`.
    """
    registry = Registry()
    for point in points if points is not None else entry_points(group=hooks.PROJECT):
        _load_one(point, registry)
    return registry


def _load_one(point: EntryPoint, registry: Registry) -> None:
    owner = point.dist.name if point.dist else point.value
    version = point.dist.version if point.dist else "unknown"
    try:
        cards = _cards(point)
    except Exception as error:  # a stranger's module may raise anything
        registry.failures.append(Failure(point.name, owner, version, _reason(error)))
        return
    registry.entries.extend(Entry(kind, card, owner, version) for kind, card in cards)


def _cards(point: EntryPoint) -> list[tuple[Kind, Card]]:
    # A manager of its own, so that a bad hook is this plugin's and nobody else's.
    manager = pluggy.PluginManager(hooks.PROJECT)
    manager.add_hookspecs(hooks)
    manager.register(point.load(), name=point.name)
    manager.check_pending()
    return [
        (kind, _checked(card, kind))
        for kind in KINDS
        for cards in getattr(manager.hook, f"mscol_{kind}s")()
        for card in cards
    ]


def _checked(card: object, kind: Kind) -> Card:
    if not isinstance(card, KINDS[kind]):
        raise PluginError(f"hook mscol_{kind}s returned {card!r}, which is no {kind} card")
    return card


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split()) or "no message"
    return text if isinstance(error, MscolError) else f"{type(error).__name__}: {text}"


def _clash(found: Sequence[Entry]) -> str:
    owners = " and ".join(f"{entry.owner} {entry.version}" for entry in found)
    first = found[0]
    return f"{first.kind} '{first.card.name}' is offered by {owners}: uninstall one of them."
