"""`mscol plugins`: what is installed, and what failed to load."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mscol_cli.commands.shared import Json
from mscol_cli.commands.terminal import print_folded, print_json, print_table, say_error
from mscol_cli.errors import UsageError

if TYPE_CHECKING:
    from mscol_cli.host import Entry, Registry

plugins = typer.Typer(help="List plugins by kind, with owner and version.", no_args_is_help=False)


@plugins.callback(invoke_without_command=True)
def overview(context: typer.Context, json: Json = False) -> None:
    """List plugins by kind, with owner and version, and those that failed to load and why."""
    from mscol_cli.host import load_registry

    if context.invoked_subcommand is not None:
        return
    registry = load_registry()
    if json:
        print_json(_as_json(registry))
        return
    _print_table(registry)
    for line in registry.clashes():
        say_error(line)
    for failed in registry.failures:
        say_error(str(failed))


@plugins.command()
def show(
    name: Annotated[str, typer.Argument(help="Name of an objective, encoder, ...")],
    json: Json = False,
) -> None:
    """Say what a plugin is, where it comes from, and which options it takes."""
    from mscol_cli.host import load_registry
    from mscol_cli.host.names import unknown_name

    registry = load_registry()
    found = [entry for entry in registry.entries if entry.card.name == name]
    if not found:
        known = {entry.card.name for entry in registry.entries}
        raise unknown_name("plugin", name, known, registry.why_missing())
    if json:
        print_json([_entry_as_json(entry) for entry in found])
        return
    for entry in found:
        print_folded(*_format_entry(entry))
    if clashes := [line for line in registry.clashes() if f"'{name}'" in line]:
        raise UsageError(clashes[0])


def _print_table(registry: Registry) -> None:
    entries = sorted(registry.entries, key=lambda entry: (entry.kind, entry.card.name))
    rows = [
        (entry.kind, entry.card.name, entry.card.summary, f"{entry.owner} {entry.version}")
        for entry in entries
    ]
    print_table(("kind", "name", "what it is", "from"), rows)


def _as_json(registry: Registry) -> dict[str, Any]:
    return {
        "plugins": [_entry_as_json(entry) for entry in registry.entries],
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
        "options": [
            {"name": item.name, "default": item.default, **_stated(item.metadata)}
            for item in fields(entry.card.options)
        ],
    }


def _stated(metadata: Any) -> dict[str, Any]:
    return {key: value for key, value in metadata.items() if value is not None}


def _format_entry(entry: Entry) -> list[str]:
    card = entry.card
    lines = [f"{card.name}: {card.summary}", f"  {entry.kind} of {entry.owner} {entry.version}"]
    if card.reference:
        lines.append(f"  {card.reference}")
    options = fields(card.options)
    return lines + [f"  {o.name}={_written(o.default)}  {_help(o.metadata)}" for o in options]


def _written(default: Any) -> str:
    return ",".join(default) if isinstance(default, tuple) else str(default)


def _help(metadata: Any) -> str:
    low, high, choices = (metadata.get(key) for key in ("minimum", "maximum", "choices"))
    bounds = [f"at least {low}"] if low is not None else []
    bounds += [f"at most {high}"] if high is not None else []
    bounds += [f"one of {', '.join(choices)}"] if choices else []
    return f"{metadata.get('help', '')}{' (' + ', '.join(bounds) + ')' if bounds else ''}"
