"""`mscol plugins`: installed plugins and load failures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mscol_cli import __version__
from mscol_cli.commands.shared import Json, calls_another
from mscol_cli.commands.terminal import print_folded, print_json, print_table, print_warning
from mscol_cli.contracts.cards import ObjectiveCard
from mscol_cli.contracts.options import NoOptions
from mscol_cli.engine.references import MINI, bundled_info
from mscol_cli.errors import UsageError

if TYPE_CHECKING:
    from mscol_cli.host import Entry, Registry

plugins = typer.Typer(no_args_is_help=False)


@plugins.callback(invoke_without_command=True)
def overview(context: typer.Context, json: Json = False) -> None:
    """List plugins by kind, with owner and version, the bundled model, and plugins that failed to
    load."""
    from mscol_cli.host import load_registry

    if calls_another(context, json):
        return
    registry = load_registry()
    if json:
        print_json(_as_json(registry))
        return
    _print_table(registry)
    for problem in (*registry.clashes(), *registry.failures):
        print_warning(str(problem))


@plugins.command()
def show(
    name: Annotated[str, typer.Argument(help="Name of an objective, encoder, ...")],
    json: Json = False,
) -> None:
    """Show a plugin: summary, owner, version and options."""
    from mscol_cli.host import load_registry
    from mscol_cli.host.names import unknown_name

    registry = load_registry()
    entries = [entry for entry in registry.entries if entry.card.name == name]
    if not entries and any(name == model for model, _ in _models()):
        raise UsageError(f"'{name}' is a model, not a plugin: docs/models.md describes it.")
    if not entries:
        known = {entry.card.name for entry in registry.entries}
        raise unknown_name("plugin", name, known, registry.why_missing())
    if json:
        print_json([_entry_as_json(entry) for entry in entries])
        return
    for entry in entries:
        print_folded(*_format_entry(entry))
    if clashes := [line for line in registry.clashes() if f"'{name}'" in line]:
        raise UsageError(clashes[0])


def _print_table(registry: Registry) -> None:
    entries = sorted(registry.entries, key=lambda entry: (entry.kind, entry.card.name))
    rows: list[tuple[str, ...]] = [
        (entry.kind, entry.card.name, entry.card.summary, f"{entry.owner} {entry.version}")
        for entry in entries
    ]
    rows += [("model", name, summary, f"mscol {__version__}") for name, summary in _models()]
    print_table(("kind", "name", "summary", "owner"), rows)


def _models() -> list[tuple[str, str]]:
    """Name and summary of the bundled model, if it is installed."""
    info = bundled_info()
    if info is None:
        return []
    encoder, objective = info["encoder"]["name"], info["objective"]["name"]
    summary = f"bundled weights of {encoder}, trained with {objective} for {info['step']:,} steps"
    return [(MINI, summary)]


def _as_json(registry: Registry) -> dict[str, Any]:
    return {
        "plugins": [_entry_as_json(entry) for entry in registry.entries],
        "models": [{"name": name, "summary": summary} for name, summary in _models()],
        "failed": registry.failures,
        "clashes": registry.clashes(),
    }


def _entry_as_json(entry: Entry) -> dict[str, Any]:
    return {
        "kind": entry.kind,
        "name": entry.card.name,
        "summary": entry.card.summary,
        "reference": entry.card.reference,
        "owner": entry.owner,
        "version": entry.version,
        "options": _options_as_json(entry.card.options),
        "augmentation_options": _options_as_json(_augmentation_options(entry)),
    }


def _options_as_json(options: type) -> list[dict[str, Any]]:
    return [
        {
            "name": item.name,
            "default": item.default,
            **{key: value for key, value in item.metadata.items() if value is not None},
        }
        for item in fields(options)
    ]


def _augmentation_options(entry: Entry) -> type:
    """Options of an objective behind a plus, as in `msa+mws`; none of other parts."""
    card = entry.card
    if isinstance(card, ObjectiveCard) and card.augmentation is not None:
        return card.augmentation_options
    return NoOptions


def _format_entry(entry: Entry) -> list[str]:
    card = entry.card
    lines = [f"{card.name}: {card.summary}", f"  {entry.kind} of {entry.owner} {entry.version}"]
    if card.reference:
        lines.append(f"  {card.reference}")
    lines += _format_options(card.options)
    augmentation = _augmentation_options(entry)
    if fields(augmentation):
        lines += [f"  behind a plus, as in cola+{card.name}:", *_format_options(augmentation)]
    return lines


def _format_options(options: type) -> Iterator[str]:
    for item in fields(options):
        value = item.default
        shown = ",".join(value) if isinstance(value, tuple) else value
        yield f"  {item.name}={shown}  {_help(item.metadata)}"


def _help(metadata: Any) -> str:
    low, high, choices = (metadata.get(key) for key in ("minimum", "maximum", "choices"))
    bounds = [f"at least {low}"] if low is not None else []
    bounds += [f"at most {high}"] if high is not None else []
    bounds += [f"one of {', '.join(choices)}"] if choices else []
    return f"{metadata.get('help', '')}{' (' + ', '.join(bounds) + ')' if bounds else ''}"
