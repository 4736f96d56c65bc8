"""Load plugins one at a time, so that a broken plugin does not affect the others."""

from __future__ import annotations

import inspect
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
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
from mscol_cli.errors import PluginError, UsageError
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
    """A card and the distribution that provides it."""

    kind: Kind
    card: Card
    owner: str
    version: str

    @property
    def is_bundled(self) -> bool:
        """Whether it belongs to mscol itself."""
        return self.owner == hooks.PROJECT

    @property
    def label(self) -> str:
        """Label of the part in messages: its kind, name, owner and version."""
        return f"{self.kind} '{self.card.name}' ({self.owner} {self.version})"


@dataclass(frozen=True)
class Failure:
    """A plugin that failed to load, and the reason."""

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
    """The installed plugins."""

    entries: list[Entry] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    def of_kind(self, kind: Kind) -> list[Entry]:
        """All entries of a kind, sorted by name."""
        entries = [entry for entry in self.entries if entry.kind == kind]
        return sorted(entries, key=lambda entry: (entry.card.name, entry.owner))

    def find(self, kind: Kind, name: str) -> Entry:
        """The entry of a kind and name.

        Raises:
            UsageError: The name is unknown; the message suggests the nearest name.
            PluginError: Two plugins offer the name; the message lists both.
        """
        entries = self.of_kind(kind)
        matches = [entry for entry in entries if entry.card.name == name]
        if not matches:
            known = {entry.card.name for entry in entries}
            raise unknown_name(kind, name, known, self.why_missing())
        if len(matches) > 1:
            raise PluginError(_clash(matches))
        return matches[0]

    def as_recorded(
        self, kind: Kind, parts: Iterable[Mapping[str, Any]], path: Path | str
    ) -> Registry:
        """The registry for a run or model, where the names of its parts mean the recorded ones.

        Args:
            kind: Kind of the parts.
            parts: Name, owner and version of each part, from run.json.
            path: The run or model, for messages.

        Raises:
            UsageError: The plugin of a part is not installed; the message names it, and the run.
            PluginError: Two plugins offer a part, and its owner was not recorded.
        """
        chosen = [self._find_recorded(kind, part, path) for part in parts]
        names = {entry.card.name for entry in chosen}
        others = [e for e in self.entries if e.kind != kind or e.card.name not in names]
        return Registry([*others, *chosen], self.failures)

    def _find_recorded(self, kind: Kind, part: Mapping[str, Any], path: Path | str) -> Entry:
        name, owner = part["name"], part.get("owner")
        entries = [entry for entry in self.of_kind(kind) if entry.card.name == name]
        if entries and owner is not None:
            matches = [entry for entry in entries if _same_package(entry.owner, str(owner))]
            if not matches:
                raise UsageError(
                    f"{path} needs {kind} '{name}' of {owner} {part.get('version')}; installed is"
                    f" that of {_owners(entries)}: install it."
                )
            return matches[0]
        try:
            return self.find(kind, name)
        except UsageError as error:
            package = f"{owner} {part.get('version')}"
            raise UsageError(f"{path} needs the plugin {package}, install it: {error}") from error

    def why_missing(self) -> list[str]:
        """Reasons why a part may be missing: the plugins that failed to load."""
        return [str(failure).rstrip(".") for failure in self.failures]

    def clashes(self) -> list[str]:
        """One line per name that two plugins offer."""
        by_name: dict[tuple[str, str], list[Entry]] = {}
        for entry in self.entries:
            by_name.setdefault((entry.kind, entry.card.name), []).append(entry)
        return [_clash(entries) for entries in by_name.values() if len(entries) > 1]


def load_registry() -> Registry:
    """Load the installed plugins, once per process."""
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
            known = [(entry.kind, entry.card) for entry in registry.entries if entry.owner == owner]
            _check_unique([*known, *cards], owner)
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:  # a plugin may raise anything, even SystemExit
        registry.failures.append(Failure(point.name, owner, version, describe_error(error)))
        return
    registry.entries.extend(Entry(kind, card, owner, version) for kind, card in cards)


def _cards(point: EntryPoint) -> list[tuple[Kind, Card]]:
    # A separate manager per plugin: an invalid hook does not affect other plugins.
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
        for card in _validate_cards(hook(), kind)
    ]


def _check_unique(cards: Iterable[tuple[Kind, Card]], owner: str) -> None:
    counts = Counter((kind, card.name) for kind, card in cards)
    for (kind, name), count in counts.items():
        if count > 1:
            raise PluginError(f"{owner} offers {kind} '{name}' twice: rename one of them")


def _hook(kind: Kind) -> str:
    return f"mscol_{kind}s"


def _check_decorated(plugin: object, manager: pluggy.PluginManager, module: str) -> None:
    """Refuse functions without `@hookimpl`, which pluggy ignores silently."""
    named = [name for name in map(_hook, KINDS) if inspect.isroutine(getattr(plugin, name, None))]
    for name in named:
        if manager.parse_hookimpl_opts(plugin, name) is None:
            raise PluginError(
                f"{module} defines {name} without @hookimpl: decorate it (from mscol_cli.api import"
                " hookimpl)"
            )
    if not any(manager.parse_hookimpl_opts(plugin, name) is not None for name in dir(plugin)):
        raise PluginError(
            f"{module} offers no hook: define one of {', '.join(map(_hook, KINDS))} with @hookimpl,"
            " or remove the entry point"
        )


def _validate_cards(returned: list[Any], kind: Kind) -> list[Card]:
    # pluggy drops None.
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


def _clash(entries: Sequence[Entry]) -> str:
    first = entries[0]
    others = [entry for entry in entries if not entry.is_bundled]
    advice = "uninstall one of them"
    if len(others) < len(entries):
        advice = f"uninstall {_owners(others)}, or ask its author to rename it"
    return f"{first.kind} '{first.card.name}' is offered by {_owners(entries)}: {advice}."


def _owners(entries: Iterable[Entry]) -> str:
    return " and ".join(f"{entry.owner} {entry.version}" for entry in entries)


def _same_package(first: str, second: str) -> bool:
    """Whether two names are those of one distribution, as `My_Net` and `my-net` are."""
    plain = [re.sub(r"[-_.]+", "-", name).lower() for name in (first, second)]
    return plain[0] == plain[1]
