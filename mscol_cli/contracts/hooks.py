"""Plugin hooks, each of which returns a list of cards.

A plugin is an installed distribution with an entry point in the group `mscol` that names a module
(or object) holding functions marked with `@hookimpl`.
"""

from __future__ import annotations

import pluggy

from mscol_cli.contracts.cards import (
    EncoderCard,
    ImporterCard,
    ObjectiveCard,
    SeparatorCard,
    TaskCard,
)

PROJECT = "mscol"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def mscol_objectives() -> list[ObjectiveCard]:  # type: ignore[empty-body]
    """Pretext tasks for `mscol pretrain --objective NAME`."""


@hookspec
def mscol_encoders() -> list[EncoderCard]:  # type: ignore[empty-body]
    """Networks for `mscol pretrain --encoder NAME`."""


@hookspec
def mscol_separators() -> list[SeparatorCard]:  # type: ignore[empty-body]
    """Ways to get sources for `mscol separate --separator NAME`."""


@hookspec
def mscol_tasks() -> list[TaskCard]:  # type: ignore[empty-body]
    """Probe data sets for `mscol probe NAME`."""


@hookspec
def mscol_importers() -> list[ImporterCard]:  # type: ignore[empty-body]
    """Formats of foreign checkpoints for `mscol import --format NAME`."""
