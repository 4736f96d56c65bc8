"""Loads plugins one at a time, so that a broken one costs only itself."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
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
from mscol_cli.errors import PluginError
from mscol_cli.host.checks.cards import validate_card
from mscol_cli.host.guard import describe_error, loading
from mscol_cli.host.names import unknown_name

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

    @property
    def label(self) -> str:
        """What messages call the part: its kind, name, owner and version."""
        return f"{self.kind} '{self.card.name}' ({self.owner} {self.version})"


@dataclass(frozen=True)
class Failure:
    """A plugin that could not be loaded, and why."""

    plugin: str
    owner: str
    version: str
    reason: str

    def __str__(self) -> str:
        """One line without a full stop."""
        return (
            f"plugin '{self.plugin}' of {self.owner} {self.version} failed to load: {self.reason}"
        )


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
            known = {entry.card.name for entry in self.of_kind(kind)}
            raise unknown_name(kind, name, known, self.why_missing())
        if len(found) > 1:
            raise PluginError(_clash(found))
        return found[0]

    def why_missing(self) -> list[str]:
        """Clauses that say why a part may be missing: the plugins that failed to load."""
        return [str(failure).rstrip(".") for failure in self.failures]

    def clashes(self) -> list[str]:
        """One line per name that two plugins offer."""
        by_name: dict[tuple[str, str], list[Entry]] = {}
        for entry in self.entries:
            by_name.setdefault((entry.kind, entry.card.name), []).append(entry)
        return [_clash(found) for found in by_name.values() if len(found) > 1]


def load_registry() -> Registry:
    """Every plugin that is installed; loaded once per process."""
    return _installed()


@cache
def _installed() -> Registry:
    return load_plugins(entry_points(group=hooks.PROJECT))


def load_plugins(points: Iterable[EntryPoint]) -> Registry:
    """Load the plugins that entry points name."""
    registry = Registry()
    for point in points:
        _load_one(point, registry)
    return registry


def _load_one(point: EntryPoint, registry: Registry) -> None:
    owner = point.dist.name if point.dist else point.value
    version = point.dist.version if point.dist else "unknown"
    try:
        with loading():
            cards = _cards(point)
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:  # a stranger's module may raise anything, SystemExit too
        registry.failures.append(Failure(point.name, owner, version, describe_error(error)))
        return
    registry.entries.extend(Entry(kind, card, owner, version) for kind, card in cards)


def _cards(point: EntryPoint) -> list[tuple[Kind, Card]]:
    # A manager of its own, so that a bad hook is this plugin's and nobody else's.
    manager = pluggy.PluginManager(hooks.PROJECT)
    manager.add_hookspecs(hooks)
    plugin = point.load()
    _check_decorated(plugin, manager, point.value)
    manager.register(plugin, name=point.name)
    manager.check_pending()
    hooks_of = {kind: getattr(manager.hook, _hook(kind)) for kind in KINDS}
    return [
        (kind, card)
        for kind, hook in hooks_of.items()
        if hook.get_hookimpls()
        for card in _checked(hook(), kind)
    ]


def _hook(kind: Kind) -> str:
    return f"mscol_{kind}s"


def _check_decorated(plugin: object, manager: pluggy.PluginManager, place: str) -> None:
    """A function that is not marked is not a hook for pluggy, which says nothing of it."""
    named = [name for name in map(_hook, KINDS) if inspect.isroutine(getattr(plugin, name, None))]
    for name in named:
        if manager.parse_hookimpl_opts(plugin, name) is None:
            raise PluginError(
                f"{place} defines {name} without @hookimpl: decorate it (from mscol_cli.api import"
                " hookimpl)"
            )
    if not any(manager.parse_hookimpl_opts(plugin, name) is not None for name in dir(plugin)):
        raise PluginError(
            f"{place} offers no hook: define one of {', '.join(map(_hook, KINDS))} with @hookimpl,"
            " or remove the entry point"
        )


def _checked(returned: list[Any], kind: Kind) -> list[Card]:
    # pluggy drops a None.
    cards = returned[0] if returned else None
    if not isinstance(cards, (list, tuple)):
        raise PluginError(f"hook {_hook(kind)} returned {cards!r}, not a list of cards")
    for card in cards:
        if not isinstance(card, KINDS[kind]):
            raise PluginError(
                f"hook {_hook(kind)} returned {card!r}, not of class {KINDS[kind].__name__}"
            )
        validate_card(card)
    return list(cards)


def _clash(found: Sequence[Entry]) -> str:
    owners = " and ".join(f"{entry.owner} {entry.version}" for entry in found)
    first = found[0]
    return f"{first.kind} '{first.card.name}' is offered by {owners}: uninstall one of them."
